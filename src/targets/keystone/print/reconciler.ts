import type { GeneratedFile } from '../../../core/ports.ts'
import { shellWord } from '../../quote.ts'
import type { ReconcileOptions } from '../options.ts'
import { comments, made, type Setting } from './setting.ts'

/** The account by which the gateway writes into a Keystone, and its rights; nothing where it does not write. */
export function reconcilerFiles(setting: Setting): readonly GeneratedFile[] {
  const { reconcile } = setting.config
  if (reconcile === undefined) return []
  const managesDomain = reconcile.user !== undefined && 'domain' in reconcile.user.scope
  return [
    { path: 'keystone/reconciler.sh', content: script(setting, reconcile) },
    ...(managesDomain ? [{ path: 'keystone/policy.d/lotse-domain-manager.yaml', content: policy(setting) }] : []),
  ]
}

interface Account {
  readonly name: string
  readonly domain: string
}

/** `openstack role add` for each role, by what it is for. */
function roles(reconcile: ReconcileOptions, { name, domain }: Account): readonly string[] {
  const scope = reconcile.user?.scope ?? { project: 'admin', projectDomain: 'Default' }
  const who = `--user ${shellWord(name)} --user-domain ${shellWord(domain)}`
  if ('domain' in scope) {
    const where = `--domain ${shellWord(scope.domain)}`
    return [
      '# Domain manager: projects, groups, people and roles of this domain, but never the role admin (Keystone 26.0.0 and newer; older',
      '# ones by policy.d/lotse-domain-manager.yaml). The role member stands beside it for reading.',
      'openstack role create --or-show -f value -c name manager',
      `openstack domain create --or-show -f value -c name -- ${shellWord(scope.domain)}`,
      `openstack role add ${who} ${where} manager`,
      `openstack role add ${who} ${where} member`,
    ]
  }
  if ('system' in scope) return ['# The whole cloud, domains included.', `openstack role add ${who} --system all admin`]
  return [
    '# The whole cloud: admin in any project is admin everywhere in the policies of most Keystones.',
    `openstack role add ${who} --project ${shellWord(scope.project)} --project-domain ${shellWord(scope.projectDomain)} admin`,
  ]
}

function script(setting: Setting, reconcile: ReconcileOptions): string {
  const account: Account = reconcile.user ?? { name: 'lotse', domain: 'Default' }
  const head = [
    ...made(
      setting,
      'Makes the account by which the gateway writes users, groups and roles. Run it as cloud administrator, once.',
    ),
    'The password is asked for: it is the one that the configuration names. (As an argument everybody on the machine could read it.)',
  ]
  const credential =
    reconcile.applicationCredential === undefined
      ? ''
      : `
cat <<'END'
Now make its application credential, as this account itself, and write its id and secret into the gateway's configuration:
  openstack --os-username ${shellWord(account.name)} --os-user-domain-name ${shellWord(account.domain)} --os-project-name admin \\
    --os-project-domain-name Default application credential create --role admin lotse
END
`
  const [name, domain] = [shellWord(account.name), shellWord(account.domain)]
  return `#!/usr/bin/env bash
${comments(head)}
set -euo pipefail

if ! openstack user show --domain ${domain} -f value -c id -- ${name} 2>/dev/null; then
  openstack user create --domain ${domain} -f value -c id --password-prompt -- ${name}
fi
${roles(reconcile, account).join('\n')}
${credential}`
}

const inDomainOf = (what: string) => `domain_id:%(target.${what}.domain_id)s`
const manager = (...rules: readonly string[]) => `rule:admin_required or (role:manager and ${rules.join(' and ')})`

/** What a grant needs: person or group and project in the account's domain, and a role that is not above a manager's. */
const grant = `rule:admin_required or (role:manager and rule:domain_managed_target_role and (${['user', 'group']
  .flatMap((who) => [
    `(${inDomainOf(who)} and ${inDomainOf('project')})`,
    `(${inDomainOf(who)} and domain_id:%(target.domain.id)s)`,
  ])
  .join(' or ')}))`

const managed = ['manager', 'member', 'reader'].map((role) => `'${role}':%(target.role.name)s`).join(' or ')

// Reading comes with the role reader in the domain; nothing is deleted but memberships and grants.
const rules: readonly (readonly [name: string, rule: string])[] = [
  ['domain_managed_target_role', managed],
  ['identity:get_role', manager('rule:domain_managed_target_role')],
  [
    'identity:list_roles',
    'rule:admin_required or (role:reader and system_scope:all) or (role:manager and not domain_id:None)',
  ],
  ['identity:create_user', manager('token.domain.id:%(target.user.domain_id)s')],
  ['identity:update_user', manager('token.domain.id:%(target.user.domain_id)s')],
  ['identity:create_project', manager(inDomainOf('project'))],
  ['identity:update_project', manager(inDomainOf('project'))],
  ['identity:update_project_tags', manager(inDomainOf('project'))],
  ['identity:create_project_tag', manager(inDomainOf('project'))],
  ['identity:create_group', manager(inDomainOf('group'))],
  ['identity:update_group', manager(inDomainOf('group'))],
  ['identity:add_user_to_group', manager(inDomainOf('group'), inDomainOf('user'))],
  ['identity:remove_user_from_group', manager(inDomainOf('group'), inDomainOf('user'))],
  ['identity:create_grant', grant],
  ['identity:revoke_grant', grant],
]

function policy(setting: Setting): string {
  const head = [
    ...made(
      setting,
      'For /etc/keystone/policy.d/ of a Keystone older than 26.0.0: what newer ones allow to a domain manager by themselves,',
    ),
    'without deleting. Newer ones need it only for other roles than manager, member and reader: then write',
    'domain_managed_target_role alone, with your roles added, into a file of your own.',
  ]
  return `${comments(head)}\n${rules.map(([name, rule]) => `"${name}": "${rule}"`).join('\n')}\n`
}
