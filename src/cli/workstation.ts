import type { Entry } from './run.ts'

/** Commands for a person's own machine: they need no configuration, no store and no package. */
export const workstation: readonly Entry[] = [
  { name: 'login', summary: 'sign in for kubectl, or for any openstack client', load: () => import('./login.ts') },
  { name: 'logout', summary: 'end what login and kubectl began on this machine', load: () => import('./logout.ts') },
  {
    name: 'kubectl-credential',
    summary: 'give kubectl a token, from its kubeconfig',
    load: () => import('./kubectl-credential.ts'),
  },
]

export const version: Entry = { name: 'version', summary: 'print the version', load: () => import('./version.ts') }
