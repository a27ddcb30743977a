import type { Live, LivePorts } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import { openApi } from './api.ts'
import { apply } from './apply.ts'
import { openDirectory } from './directory.ts'
import { observe } from './observe.ts'
import { type Op, plan } from './plan.ts'

/**
 * The side of a Keystone into which the gateway writes: users of its own identity provider, their direct roles and memberships, and what
 * rules may make for that. Nothing is ever deleted but a lease.
 * @throws {Error} where the configuration has no `reconcile`
 */
export function openLiveKeystone(config: KeystoneConfig, ports: LivePorts): Live {
  const { reconcile } = config
  if (reconcile === undefined) throw new Error(`target ${config.id} has no reconcile`)
  const api = openApi(config, ports)
  const directory = openDirectory(config.id, api, ports)
  const { every, ifUnreachable, atOnce } = reconcile
  return {
    every,
    ifUnreachable,
    atOnce,
    observe: async (questions) => ({ of: await observe({ config, api, directory }, questions) }),
    plan: (question, observed) => plan(config, question, observed),
    apply: (step) => apply({ config, api, block: directory.block }, step.does as Op), // what `plan` made
  }
}
