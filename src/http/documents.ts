import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context as KoaContext } from 'koa'
import { ISSUER_RING } from '../core/ports.ts'
import type { Parts } from './parts.ts'

/** For which a relying party may keep metadata. */
export const METADATA_CACHE = 'public, max-age=300'
/**
 * For which it may keep keys. A kube-apiserver (go-oidc v2) asks for a key that it does not know no sooner than 30 seconds before this has passed
 * since it last asked: with these 30 it asks at once, and takes a new key and lets go of a revoked one with the first token by the new.
 */
export const KEYS_CACHE = 'public, max-age=30'

/** Where the metadata of the gateway stand (OpenID Connect Discovery, section 4; RFC 8414, section 3). */
const METADATA: ReadonlySet<string> = new Set([
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
])
const KEYS = /^\/jwks(?:\/([\w.-]{1,128}))?$/

interface Document {
  readonly text: string
  readonly headers: Readonly<Record<string, string>>
}

/**
 * The documents by which everybody checks tokens, from memory and before koa: all kube-apiservers ask at once when they meet a key that
 * they do not know, and each answer costs little more than HTTP itself does.
 */
export interface Documents {
  /** Answers a request for one of them, and nothing else. @returns whether it did */
  answer(req: IncomingMessage, res: ServerResponse): boolean
  /** Takes over metadata that the library has made for this request, so that the next one is answered from here. */
  keep(ctx: KoaContext): void
}

/** @param base headers of every answer */
export function openDocuments(
  parts: Pick<Parts, 'rings' | 'meter'>,
  base: Readonly<Record<string, string>>,
): Documents {
  const kept = new Map<string, Document>()

  const document = (path: string, text: string, cache: string): Document => {
    const before = kept.get(path)
    if (before?.text === text) return before
    const headers = {
      ...base,
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': String(Buffer.byteLength(text)),
      'Cache-Control': cache,
      'Access-Control-Allow-Origin': '*',
    }
    const made = { text, headers }
    kept.set(path, made)
    return made
  }

  const keysAt = (path: string): Document | undefined => {
    const [found, ring = ISSUER_RING] = KEYS.exec(path) ?? []
    const text = found === undefined ? undefined : parts.rings.jwks(ring)
    return text === undefined ? undefined : document(path, text, KEYS_CACHE)
  }

  return {
    answer(req, res) {
      if (req.method !== 'GET' && req.method !== 'HEAD') return false
      const started = performance.now()
      const path = req.url?.split('?', 1)[0] ?? ''
      const known = METADATA.has(path)
      const found = known ? kept.get(path) : keysAt(path)
      if (found === undefined) return false
      res.writeHead(200, found.headers).end(req.method === 'HEAD' ? undefined : found.text)
      const route = known ? 'discovery' : path === '/jwks' ? 'jwks' : 'jwks_ring'
      parts.meter.request(route, 200, (performance.now() - started) / 1000)
      return true
    },
    keep(ctx) {
      if (!METADATA.has(ctx.path) || ctx.status !== 200) return
      const { headers, text } = document(ctx.path, JSON.stringify(ctx.body), METADATA_CACHE)
      ctx.remove('Vary') // the library names the origin that asks; nobody is kept from public metadata
      ctx.set(headers)
      ctx.body = text
    },
  }
}
