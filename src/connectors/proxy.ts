import { z } from 'zod'
import { secretReference } from '../config/fields.ts'

/** Whether a text is the URL of a forward proxy. */
function isProxy(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, pathname, search, hash } = new URL(text)
  return (protocol === 'http:' || protocol === 'https:') && pathname === '/' && !search && !hash
}

const noProxy = 'not the URL of a proxy; write http://proxy.example:3128'

/** A forward proxy. One that wants `user:password@` is a secret as a whole. */
export const proxyUrl = () =>
  z.union([
    z
      .string()
      .refine(isProxy, noProxy)
      .refine(
        (text) => !text.includes('@'),
        'a password is never written into this file; write { env: NAME } or { file: path } for the whole URL',
      ),
    secretReference(),
  ])

/**
 * What is wrong with a proxy that stood behind a reference, which only the loader has seen; what it could not read it has told itself.
 */
export function proxyProblem({ proxy }: { readonly proxy?: unknown }) {
  return typeof proxy === 'string' && proxy !== '' && !isProxy(proxy) ? [{ path: ['proxy'], message: noProxy }] : []
}
