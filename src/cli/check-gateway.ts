import type { Check } from '../core/ports.ts'
import { KEYS_CACHE, METADATA_CACHE } from '../http/documents.ts'

/** By which name the gateway itself is asked. */
export const GATEWAY = 'gateway'

/** A document of the gateway that clusters and applications read from outside, and what the gateway itself says about keeping it. */
interface Published {
  readonly check: string
  readonly path: string
  readonly cache: string
  /** What it means where something in between lets it be kept for longer. */
  readonly kept: (seconds: number) => Check
}

const good = (check: string, found: string): Check => ({ check, ok: true, found })
const bad = (check: string, found: string): Check => ({ check, ok: false, found })
const note = (check: string, found: string): Check => ({ check, ok: true, found, note: true })

const published: readonly Published[] = [
  {
    check: 'metadata',
    path: '/.well-known/openid-configuration',
    cache: METADATA_CACHE,
    kept: (seconds) => note('metadata', `a proxy lets it be kept for ${seconds} s: applications see a change so late`),
  },
  {
    check: 'keys',
    path: '/jwks',
    cache: KEYS_CACHE,
    // go-oidc v2 counts from its last fetch, and comes back 30 seconds early.
    kept: (seconds) =>
      bad(
        'keys',
        `a proxy lets them be kept for ${seconds} s, where the gateway says ${secondsOf(KEYS_CACHE)}: kube-apiservers then refuse tokens by a new key, and ` +
          `take those by a revoked one, for up to ${seconds - 30} s more; switch its caching off`,
      ),
  },
]

/** Headers that the gateway sends with none of these: who adds them keeps copies, or has others keep some. */
const ADDED = ['age', 'etag', 'expires', 'last-modified']

/**
 * Reads the gateway's documents as the world does, from its public address, and says what something in between changed about them.
 * @param now Unix seconds
 */
export async function probeGateway(
  issuer: URL,
  { fetch, now }: { readonly fetch: typeof globalThis.fetch; readonly now: number },
): Promise<readonly Check[]> {
  return await Promise.all(
    published.map(async (document) => {
      const url = new URL(document.path, issuer).href
      try {
        const answer = await fetch(url, { redirect: 'manual', headers: { accept: 'application/json' } })
        return await judge(document, { url, issuer, now, answer })
      } catch (error) {
        return note(document.check, `${url} cannot be read from here: ${reasonOf(error)}`)
      }
    }),
  )
}

interface Seen {
  readonly url: string
  readonly issuer: URL
  /** Unix seconds. */
  readonly now: number
  readonly answer: Response
}

async function judge(document: Published, { url, issuer, now, answer }: Seen): Promise<Check> {
  const { check, cache, kept } = document
  const { status, headers } = answer
  // A proxy says so of a gateway that is not started yet.
  if (status >= 500) return note(check, `${url} answered with status ${status}`)
  if (status !== 200) return bad(check, `${url} answered with status ${status}`)
  const wrong = wrongText(check, await answer.text(), issuer)
  if (wrong !== undefined) return bad(check, `${url}: ${wrong}`)
  const seconds = lifetime(headers, now)
  if (seconds > secondsOf(cache)) return kept(seconds)
  const added = ADDED.filter((name) => headers.has(name))
  const changed = headers.get('cache-control') === cache ? [] : [`Cache-Control: ${headers.get('cache-control') ?? ''}`]
  if (added.length + changed.length === 0) return good(check, url)
  const what = [...changed, ...added.map((name) => `${name}: ${headers.get(name)}`)].join(', ')
  return note(check, `${url}: a proxy changes how it may be kept (${what}); the gateway says ${cache} alone`)
}

const secondsOf = (cache: string) => lifetime(new Headers({ 'cache-control': cache }), 0)

/** Why this is no document of this gateway; undefined where it may be one. */
function wrongText(check: string, text: string, issuer: URL): string | undefined {
  let value: { readonly issuer?: unknown; readonly jwks_uri?: unknown; readonly keys?: unknown } | null
  try {
    value = JSON.parse(text) as typeof value
  } catch {
    return 'is no JSON'
  }
  if (check === 'keys') return Array.isArray(value?.keys) ? undefined : 'is no key set'
  if (value?.issuer === issuer.origin) return undefined
  return `it calls itself ${JSON.stringify(value?.issuer)}, and the configuration says ${issuer.origin}`
}

/**
 * Seconds for which go-oidc v2, which kube-apiservers have, takes an answer for fresh. It reads the headers for itself alone: `private`,
 * `no-cache` and `no-store` beside a `max-age` change nothing there.
 * @param now Unix seconds
 */
export function lifetime(headers: Headers, now: number): number {
  const cache = headers.get('cache-control') ?? ''
  for (const directive of ['s-maxage', 'max-age']) {
    const [, seconds] = new RegExp(`(?:^|[ ,])${directive}="?(\\d+)`, 'i').exec(cache) ?? []
    if (seconds !== undefined) return Number(seconds)
  }
  const at = (name: string) => Date.parse(headers.get(name) ?? '') / 1000
  const made = Number.isNaN(at('date')) ? now : at('date')
  if (!Number.isNaN(at('expires'))) return Math.max(0, Math.round(at('expires') - made))
  // Nothing says how long: a tenth of its age, a day at most.
  const tenth = Math.round((now - at('last-modified')) / 10)
  return Number.isNaN(tenth) ? 0 : Math.min(86_400, Math.max(0, tenth))
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
  return error.message + code
}
