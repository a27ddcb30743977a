import type { Check } from '../../../core/ports.ts'
import type { LivePorts } from '../../live.ts'
import type { PrintWorld } from '../../target.ts'
import type { KeystoneConfig } from '../options.ts'
import { type Asked, note, openAsked } from './ask.ts'
import { federated } from './forged.ts'
import { bearer, dashboards, websso } from './paths.ts'
import { reached, versionOf } from './version.ts'

/**
 * Asks a running Keystone what can be asked from outside without a person: whether it is there and new enough, whether anybody can
 * forge claims to it, whether the web server in front guards the paths of federation and sends people to this gateway.
 * Nothing is changed there, except where it has a hole: then a user may be left, whom the finding names if she has the check's own name.
 * Never throws.
 */
export async function probeKeystone(
  config: KeystoneConfig,
  world: PrintWorld,
  ports: LivePorts,
): Promise<readonly Check[]> {
  const asked = openAsked(config, world, ports)
  const first = await reached(asked)
  if (!first.ok) return [first]
  const found = await Promise.all([
    versionOf(asked),
    federated(asked),
    bearer(asked, ports.now()),
    websso(asked),
    dashboards(asked),
  ])
  return [first, ...found.flat(), ...(config.reconcile === undefined ? [unseen(config)] : await seen(asked, ports))]
}

/** Loaded where the gateway has an account there. */
async function seen(asked: Asked, ports: LivePorts): Promise<readonly Check[]> {
  const { inside } = await import('./inside.ts')
  return await inside(asked, ports)
}

/** What no stranger can see, said so that nobody takes silence for yes. */
function unseen({ id }: KeystoneConfig): Check {
  const what = 'whether the mapping holds to the audience and the remote ids are only this gateway'
  return note('mapping', `${what} does not show from outside; compare with lotse print ${id}`)
}
