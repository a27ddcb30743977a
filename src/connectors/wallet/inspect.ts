import { LoginError } from '../../core/errors.ts'
import type { Check } from '../../core/ports.ts'
import type { Captured, Inspection } from '../connector.ts'
import type { Binding, Credential } from './credential.ts'
import { presented } from './credentials/presented.ts'
import { type Answered, answers, matched } from './dcql.ts'
import type { WalletConfig } from './options.ts'
import { printable, refusal } from './refusal.ts'
import { judgeStanding } from './standing.ts'
import type { Standing } from './status/status.ts'
import { subjectFrom } from './subject.ts'
import type { Trusted } from './trusted.ts'

/** What a captured answer is looked at by; `now` in Unix seconds. */
export interface Inspecting {
  readonly config: WalletConfig
  readonly trusted: Trusted
  readonly now: number
  /** What status lists say at this moment of what the answer rests on. */
  readonly standing: (credential: Pick<Credential, 'issuer' | 'status'>) => Promise<Standing>
}

/**
 * Goes through a captured `vp_token` by the very checks of a sign-in. Its own sign-in is long over: nonce, audience and the moment at which it came
 * are taken from the presentation itself, and said to be. Issuers' keys and status lists are asked for now.
 */
export async function inspect(inspecting: Inspecting, { text }: Captured): Promise<Inspection> {
  const checks: Check[] = []
  try {
    const { config, trusted, now } = inspecting
    const answered = answers(config, tokenIn(text))
    checks.push({ check: 'query', ok: true, found: `answered: ${answered.map(({ asked }) => asked.id).join(', ')}` })
    await trusted.ready()
    const all: { readonly asked: Answered['asked']; readonly credentials: readonly Credential[] }[] = []
    let at = now
    for (const { asked, presentation } of answered) {
      const assumed = assumptions(presentation, now)
      at = Math.min(at, assumed.at)
      checks.push(...said(asked.id, assumed))
      const ports = { ...trusted.ports(), now: () => assumed.at }
      const note = (check: Check) => checks.push({ ...check, check: `${asked.id}: ${check.check}` })
      all.push({ asked, credentials: await presented(asked.format, presentation, assumed.binding, ports, note) })
    }
    const found = matched(config, all)
    checks.push({ check: 'claims', ok: true, found: 'what was asked for is there, with the values that were wanted' })
    const judged = await judgeStanding(trusted.policy(), found, at, inspecting.standing)
    checks.push(...judged.path.map((sentence) => ({ check: 'trust', ok: true, found: sentence })))
    const standing = await Promise.all(judged.rests.map((each) => standingOf(inspecting, each)))
    checks.push(...standing)
    const { subject } = subjectFrom(judged, config, at)
    checks.push({ check: 'identifier', ok: true, found: printable(subject.id, 300) })
    return standing.every(({ ok }) => ok) ? { checks, subject } : { checks }
  } catch (error) {
    if (!(error instanceof LoginError)) throw error
    return { checks: [...checks, { check: error.code, ok: false, found: error.message }] }
  }
}

async function standingOf(
  { standing }: Inspecting,
  credential: Pick<Credential, 'issuer' | 'status' | 'types'>,
): Promise<Check> {
  const check = `status of ${printable(credential.types.join(' '))}`
  if (credential.status.length === 0)
    return { check, ok: true, note: true, found: 'it has none: it ends by its time alone' }
  try {
    const found = await standing(credential)
    return { check, ok: found === 'valid', found: `${found} now` }
  } catch (error) {
    if (!(error instanceof LoginError)) throw error
    return { check, ok: false, found: error.message }
  }
}

/** What was kept: a response's parameters as JSON or as a form, or the `vp_token` alone. */
function tokenIn(text: string): unknown {
  const kept = text.trim()
  if (kept.startsWith('{')) {
    const json = parsed(kept) as Readonly<Record<string, unknown>>
    if (typeof json['response'] === 'string') throw encrypted()
    const token = json['vp_token'] ?? json
    return typeof token === 'string' ? parsed(token) : token
  }
  const form = new URLSearchParams(kept.replace(/^.*\?/, ''))
  if (form.has('response')) throw encrypted()
  const token = form.get('vp_token')
  if (token === null)
    throw refusal('it is no response of a wallet; write {"vp_token": {"NAME": ["…"]}} with the name of the credential')
  return parsed(token)
}

const encrypted = () =>
  refusal(
    'it is encrypted, and its key went with its sign-in; keep the vp_token that the wallet had before it encrypted it',
  )

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw refusal('it is no JSON')
  }
}

interface Assumed {
  readonly binding: Binding
  /** Unix seconds. */
  readonly at: number
}

/** What a sign-in knew of its request, as the presentation says it itself: of an SD-JWT its key binding, else the presentation's own JWT. */
function assumptions(presentation: string, now: number): Assumed {
  const jwt = presentation.includes('~') ? presentation.slice(presentation.lastIndexOf('~') + 1) : presentation
  const { nonce, aud, iat } = payloadOf(jwt)
  const made = typeof iat === 'number' && Number.isSafeInteger(iat) && iat >= 0 && iat <= now ? iat : now
  const [audience] = [aud].flat()
  return { binding: { nonce: textOr(nonce), audience: textOr(audience) }, at: made }
}

const textOr = (value: unknown) => (typeof value === 'string' ? value : '')

function payloadOf(jwt: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    // What it says will be refused by the checks themselves.
    return {}
  }
}

const said = (id: string, { binding, at }: Assumed): readonly Check[] => [
  { check: `${id}: time`, ok: true, note: true, found: `looked at as of ${new Date(at * 1000).toISOString()}` },
  {
    check: `${id}: request`,
    ok: true,
    note: true,
    found: `taken to be that of ${printable(binding.audience) || 'nobody'}, nonce ${printable(binding.nonce) || 'none'}`,
  },
]
