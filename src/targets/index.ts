import { keystoneOptions, keystoneProblems } from './keystone/options.ts'
import { openKeystone } from './keystone/target.ts'
import { kubernetesOptions, kubernetesProblems } from './kubernetes/options.ts'
import { openKubernetes } from './kubernetes/target.ts'
import { oidcOptions } from './oidc/options.ts'
import { openOidc } from './oidc/target.ts'

/**
 * Every type of target: the options that it has beside the fields of every target, and how its loaded configuration becomes a
 * target. `open` is synchronous and pure; `print` makes the consumer's own configuration, `probe` asks a running one, and `simulate`
 * foretells what it makes of a decision, for those that have some.
 */
export const targetTypes = {
  keystone: {
    options: keystoneOptions,
    problems: keystoneProblems,
    open: openKeystone,
    print: () => import('./keystone/print/print.ts'),
    probe: () => import('./keystone/probe/probe.ts'),
    live: () => import('./keystone/live/live.ts'),
    simulate: () => import('./keystone/simulate/simulate.ts'),
  },
  kubernetes: {
    options: kubernetesOptions,
    problems: kubernetesProblems,
    open: openKubernetes,
    print: () => import('./kubernetes/print/print.ts'),
    bindings: () => import('./kubernetes/live/live.ts'),
    ask: () => import('./kubernetes/live/ask.ts'),
  },
  oidc: { options: oidcOptions, open: openOidc },
} as const
