import type { Live, LivePorts } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import { openLanes } from './api.ts'
import { apply } from './apply.ts'
import { openDirectory } from './directory.ts'
import { areMany, observe } from './observe.ts'
import type { Lane } from './pace.ts'
import { type Op, plan } from './plan.ts'
import type { Snapshot } from './snapshot.ts'

/** What is done, and with whom it waits: a step goes as that went which it was planned from. */
interface Doing {
  readonly op: Op
  readonly lane: Lane
}

/**
 * The side of a Keystone into which the gateway writes: users of its own identity provider, their direct roles and memberships, and what
 * rules may make for that. Nothing is ever deleted but a lease.
 * @throws {Error} where the configuration has no `reconcile`
 */
export function openLiveKeystone(config: KeystoneConfig, ports: LivePorts): Live {
  const { reconcile } = config
  if (reconcile === undefined) throw new Error(`target ${config.id} has no reconcile`)
  const lanes = openLanes(config, ports)
  const directory = openDirectory(config.id, lanes.few, ports)
  const { every, ifUnreachable, atOnce } = reconcile
  return {
    every,
    ifUnreachable,
    atOnce,
    async observe(questions) {
      const lane = areMany(questions) ? 'many' : 'few'
      return { of: { ...(await observe({ config, api: lanes[lane], directory }, questions)), lane } }
    },
    plan(question, observed) {
      const { lane } = observed.of as Snapshot & { readonly lane: Lane } // what `observe` made
      return plan(config, question, observed).map((step) => {
        const does: Doing = { op: step.does as Op, lane } // what `plan` made
        return { ...step, does }
      })
    },
    async apply(step) {
      const { op, lane } = step.does as Doing // as above
      await apply({ config, api: lanes[lane], block: directory.block }, op)
    },
  }
}
