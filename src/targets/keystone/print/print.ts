import type { GeneratedFile } from '../../../core/ports.ts'
import type { PrintWorld } from '../../target.ts'
import type { KeystoneConfig } from '../options.ts'
import { ansibleFiles } from './ansible.ts'
import { apacheFiles } from './apache.ts'
import { cloudFiles } from './clouds.ts'
import { horizonFiles } from './horizon.ts'
import { keystoneFiles } from './keystone.ts'
import { kollaFiles } from './kolla.ts'
import { readme } from './readme.ts'
import { reconcilerFiles } from './reconciler.ts'
import { settingOf } from './setting.ts'

export { printProblems } from './problems.ts'
export { flavours } from './setting.ts'

/**
 * Everything that the operator of a Keystone writes nowhere by hand, for the way in which its Apache is set up. Pure, and the same from
 * run to run; `printProblems` has to be empty before.
 */
export function printFiles(config: KeystoneConfig, world: PrintWorld): readonly GeneratedFile[] {
  const setting = settingOf(config, world)
  const files = [
    ...(setting.flavour === 'kolla' ? kollaFiles(setting) : apacheFiles(setting)),
    ...keystoneFiles(setting),
    ...reconcilerFiles(setting),
    ...ansibleFiles(setting),
    ...horizonFiles(setting),
    ...cloudFiles(setting),
  ]
  return [readme(setting, files), ...files]
}
