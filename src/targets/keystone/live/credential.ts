import type { ReconcileOptions } from '../options.ts'

/** How the gateway's own account signs in, in the words of `POST /v3/auth/tokens`. */
export function credentialOf({ applicationCredential, user }: ReconcileOptions): Record<string, unknown> {
  if (applicationCredential !== undefined) {
    const { id, secret } = applicationCredential
    return { identity: { methods: ['application_credential'], application_credential: { id, secret } } }
  }
  if (user === undefined) throw new Error('reconcile names no way to sign in')
  const { name, domain, password, scope } = user
  const identity = { methods: ['password'], password: { user: { name, domain: { name: domain }, password } } }
  if ('system' in scope) return { identity, scope: { system: { all: true } } }
  if ('project' in scope)
    return { identity, scope: { project: { name: scope.project, domain: { name: scope.projectDomain } } } }
  return { identity, scope: { domain: { name: scope.domain } } }
}
