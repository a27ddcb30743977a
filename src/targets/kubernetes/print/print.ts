import type { GeneratedFile } from '../../../core/ports.ts'
import type { PrintWorld } from '../../target.ts'
import type { KubernetesConfig } from '../target.ts'
import { accountFiles } from './account.ts'
import { appFiles } from './apps.ts'
import { authenticationFiles } from './authentication.ts'
import { flagFiles } from './flags.ts'
import { kubeconfigFiles } from './kubeconfig.ts'
import { rbacFiles } from './rbac.ts'
import { readme } from './readme.ts'
import { settingOf } from './setting.ts'

export { printProblems } from './problems.ts'
export { flavours } from './setting.ts'

/**
 * Everything that the operators of a cluster and its people write nowhere by hand. Pure, and the same from run to run;
 * `printProblems` has to be empty before.
 */
export function printFiles(config: KubernetesConfig, world: PrintWorld): readonly GeneratedFile[] {
  const setting = settingOf(config, world)
  const files = [
    ...authenticationFiles(setting),
    ...flagFiles(setting),
    ...rbacFiles(setting),
    ...accountFiles(setting),
    ...kubeconfigFiles(setting),
    ...appFiles(setting),
  ]
  return [readme(setting, files), ...files]
}
