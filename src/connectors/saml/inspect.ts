import { LoginError } from '../../core/errors.ts'
import type { Check } from '../../core/ports.ts'
import type { Captured, Inspection } from '../connector.ts'
import { authenticationOf } from './acr.ts'
import { expectedOf } from './expected.ts'
import type { Idp } from './idp.ts'
import { decode, printable } from './limits.ts'
import { type Saml, SKEW } from './parts.ts'
import { instant } from './profile.ts'
import { subjectOf } from './subject.ts'
import { inspectResponse, verifyResponse } from './verify.ts'
import { ns, onlyChild, readXml, textIn } from './xml.ts'

/**
 * Goes through a captured response by the very checks of a sign-in. Its own sign-in is long over: the request that it answers and the
 * moment at which it came are taken from the response itself, and said to be.
 */
export async function inspect(saml: Saml, { text }: Captured): Promise<Inspection> {
  const checks: Check[] = []
  try {
    const encoded = encodedIn(text)
    const assumed = assumptions(encoded)
    checks.push(
      { check: 'time', ok: true, note: true, found: `looked at as of ${new Date(assumed.at * 1000).toISOString()}` },
      { check: 'request', ok: true, note: true, found: `taken to be ${printable(assumed.request) || 'none'}` },
    )
    const idp = await idpOf(saml, assumed.issuer)
    if (!idp) return { checks: [...checks, unknown(assumed.issuer)] }
    const { request, at } = assumed
    const asked = { requestedAt: at, acrValues: [], contexts: [] }
    const expected = expectedOf(saml, { idp, request, asked, at })
    const found = await inspectResponse(encoded, expected)
    checks.push(...found)
    if (found.some(({ ok }) => !ok)) return { checks }
    const verified = await verifyResponse(encoded, expected)
    const { config, ports } = saml
    const { subject, dropped } = subjectOf(verified, idp, { config, regex: ports.regex, entityId: ports.sp.entityId })
    checks.push({ check: 'identifier', ok: true, found: printable(subject.id, 300) })
    if (dropped.length > 0)
      checks.push({ check: 'scopes', ok: true, note: true, found: `left out, another's scope: ${dropped.join(', ')}` })
    const authentication = authenticationOf(config, verified, asked, { now: at, skew: SKEW })
    const { acr: _theirs, ...rest } = subject
    return { checks, subject: { ...rest, ...authentication } }
  } catch (error) {
    if (!(error instanceof LoginError)) throw error
    return { checks: [...checks, { check: error.code, ok: false, found: error.message }] }
  }
}

const unknown = (issuer: string): Check => ({
  check: 'identity provider',
  ok: false,
  found: `${printable(issuer) || 'none'} is not in this connector's metadata`,
})

/** The base64 of a response that was kept as a form's body, as its value (URL-encoded or not), or as XML. */
function encodedIn(text: string): string {
  const kept = text.trim()
  if (kept.startsWith('<')) return Buffer.from(kept).toString('base64')
  if (kept.includes('SAMLResponse=')) return new URLSearchParams(kept.replace(/^.*\?/, '')).get('SAMLResponse') ?? ''
  try {
    return decodeURIComponent(kept)
  } catch {
    return kept // and refused as what it is
  }
}

function assumptions(encoded: string) {
  const root = readXml(decode(encoded))
  const at = instant(root.attributes['IssueInstant'])
  return {
    issuer: textIn(onlyChild(root, ns.saml, 'Issuer')),
    request: root.attributes['InResponseTo'] ?? '',
    at: Math.ceil(at ?? 0),
  }
}

async function idpOf({ config, directory }: Saml, issuer: string): Promise<Idp | undefined> {
  return (await directory.only()) ?? (await directory.find(config.entity ?? issuer))
}
