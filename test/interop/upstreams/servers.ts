/** The servers that the group has started for its test files. */
export interface Servers {
  readonly keycloak: string
  readonly canaille: { readonly url: string; readonly folder: string; readonly work: string }
}

/** How the group says them to the processes of its tests. */
export const SERVERS = 'LOTSE_UPSTREAMS'

/** @throws where the group did not start this process */
export function servers(): Servers {
  const text = process.env[SERVERS]
  if (text === undefined) throw new Error('run this by `npm run test:interop -- upstreams`, which starts the providers')
  return JSON.parse(text) as Servers
}
