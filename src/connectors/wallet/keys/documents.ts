import { LoginError } from '../../../core/errors.ts'
import type { Clock } from '../../../core/ports.ts'

/** A kind of document that issuers publish: how it is asked for, and what becomes of its text. */
export interface Kind<T> {
  readonly accept: string
  /** Characters, at most. */
  readonly longest: number
  /** @throws {LoginError} where the text is none of this kind */
  readonly parse: (text: string, url: string) => T
  /** Seconds for which it may be kept at the most, by what it says of itself; as long as the headers say where absent. */
  readonly keep?: (document: T, now: number) => number
  /** Bytes that it takes beside its text. */
  readonly unpacked?: (document: T) => number
}

/** What issuers publish, kept for as long as its headers and our limits allow. */
export interface Documents {
  /** @throws {LoginError} `upstream_unavailable` where it cannot be had; what `parse` throws */
  read<T>(url: string, kind: Kind<T>): Promise<T>
  /** The same, newer than the last one where that is not of this very moment: a key or a status may have changed. */
  again<T>(url: string, kind: Kind<T>): Promise<T>
}

/** Seconds for which a document is kept that says nothing, at least, and at most: a flood of answers must not become one of requests. */
const USUAL = 300
const LEAST = 15
const MOST = 3600
/** Seconds after a failure before the next try. */
const PAUSE = 5
/** Requests under way at once; documents; and bytes of them all. */
const AT_ONCE = 16
const ENTRIES = 512
const ROOM = 32 * 1024 * 1024

/** What reading them takes of the world. */
interface World {
  readonly fetch: typeof globalThis.fetch
  readonly now: Clock
}

interface Entry {
  readonly at: number
  readonly until: number
  readonly size: number
  readonly value?: unknown
  readonly error?: unknown
}

/**
 * Reads and keeps public documents. Where they are is said by people outside, so `fetch` must be bounded and reach public addresses
 * alone (law 10); redirects are refused: OpenID4VP 1.0, 8.2, and a host that can be made to redirect speaks for nobody else.
 */
export function openDocuments({ fetch, now }: World): Documents {
  const kept = openShelf()
  const running = new Map<string, Promise<unknown>>()

  const load = async <T>(key: string, url: string, kind: Kind<T>): Promise<T> => {
    try {
      const { text, seconds } = await get(fetch, url, kind)
      const value = kind.parse(text, url)
      const most = Math.min(seconds, kind.keep?.(value, now()) ?? MOST)
      const size = text.length + (kind.unpacked?.(value) ?? 0)
      kept.put(key, { at: now(), until: now() + Math.max(LEAST, most), size, value })
      return value
    } catch (error) {
      const before = kept.get(key)
      // What is still good outlives an attempt at something newer, which anybody may cause.
      const good = before !== undefined && !('error' in before) && now() < before.until
      kept.put(key, good ? { ...before, at: now() } : { at: now(), until: now() + PAUSE, size: 0, error })
      throw error
    }
  }

  const fresh = <T>(key: string, url: string, kind: Kind<T>): Promise<T> => {
    const already = running.get(key) as Promise<T> | undefined
    if (already) return already
    if (running.size >= AT_ONCE)
      throw new LoginError('upstream_unavailable', 'too many documents of issuers are being read at once')
    const loading = load(key, url, kind).finally(() => running.delete(key))
    running.set(key, loading)
    return loading
  }

  const known = <T>(key: string, good: (entry: Entry) => boolean): { readonly value: T } | undefined => {
    const entry = kept.get(key)
    if (!entry || !good(entry)) return undefined
    if ('error' in entry) throw entry.error
    return { value: entry.value as T }
  }

  return {
    async read<T>(url: string, kind: Kind<T>) {
      const key = `${kind.accept} ${url}`
      return known<T>(key, ({ until }) => now() < until)?.value ?? (await fresh(key, url, kind))
    },
    async again<T>(url: string, kind: Kind<T>) {
      const key = `${kind.accept} ${url}`
      return known<T>(key, ({ at }) => now() < at + LEAST)?.value ?? (await fresh(key, url, kind))
    },
  }
}

/** Keeps entries while there is room; the oldest goes first. */
function openShelf() {
  const entries = new Map<string, Entry>()
  let held = 0
  const drop = (key: string) => {
    held -= entries.get(key)?.size ?? 0
    entries.delete(key)
  }
  return {
    get: (key: string) => entries.get(key),
    put(key: string, entry: Entry) {
      drop(key)
      entries.set(key, entry)
      held += entry.size
      for (const oldest of entries.keys()) {
        if (entries.size <= ENTRIES && held <= ROOM) break
        drop(oldest)
      }
    },
  }
}

async function get<T>(fetch: typeof globalThis.fetch, url: string, { accept, longest }: Kind<T>) {
  const response = await fetch(url, { redirect: 'error', headers: { accept } }).catch((cause: unknown) => {
    throw new LoginError('upstream_unavailable', `${originOf(url)} cannot be read: ${codeOf(cause)}`, { cause })
  })
  if (response.status !== 200)
    throw new LoginError('upstream_unavailable', `${originOf(url)} answered with status ${response.status}`)
  const text = await response.text()
  if (text.length > longest)
    throw new LoginError('upstream_rejected', `${originOf(url)} sent a document of more than ${longest} characters`)
  return { text, seconds: secondsOf(response.headers) }
}

const originOf = (url: string) => (URL.canParse(url) ? new URL(url).origin : 'an address that is none')

const codeOf = (cause: unknown) => String((cause as { code?: unknown } | undefined)?.code ?? 'no answer')

/** RFC 9111, 5.2.2 and 5.3, within our limits; LEAST applies to all. */
function secondsOf(headers: Headers): number {
  const control = headers.get('cache-control')?.toLowerCase() ?? ''
  if (/\bno-(store|cache)\b/.test(control)) return LEAST
  const said = /\bmax-age="?(\d{1,9})/.exec(control)?.[1]
  if (said === undefined) return USUAL
  const age = Number(/^\d{1,9}$/.exec(headers.get('age') ?? '')?.[0] ?? 0)
  return Math.min(MOST, Math.max(LEAST, Number(said) - age))
}
