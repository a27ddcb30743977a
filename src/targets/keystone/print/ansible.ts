import type { GeneratedFile } from '../../../core/ports.ts'
import { ansibleText, jsonText } from '../../quote.ts'
import { keystoneMapping } from './mapping.ts'
import { comments, made, type Setting } from './setting.ts'

/** The same as register.sh, as tasks: each asks first and changes what is otherwise, so a second run changes nothing. */
export function ansibleFiles(setting: Setting): readonly GeneratedFile[] {
  return [{ path: 'ansible/keystone-federation.yml', content: tasks(setting) }]
}

/** The value of a variable that the tasks set. */
const v = (expression: string): string => `"{{ ${expression} }}"`

interface Thing {
  /** What people read. */
  readonly title: string
  /** A name for variables. */
  readonly variable: string
  readonly path: string
  /** What stands around the value in the API: `{"mapping": …}`. */
  readonly wrap: string
  /** The value when it is made, and when it is changed: expressions. */
  readonly made: string
  readonly changed: string
  /** Whether what is there is otherwise: an expression. */
  readonly differs: string
}

function tasks(setting: Setting): string {
  const head = [
    ...made(setting, 'Tasks that make the gateway known to Keystone, for a play on a host that reaches its API:'),
    '    - hosts: localhost',
    '      tasks:',
    '        - ansible.builtin.import_tasks: keystone-federation.yml',
    'with the rights of a cloud administrator in the environment (OS_CLOUD or OS_*).',
  ]
  return `---\n${comments(head)}\n${[facts(setting), token, ...domains, ...things(setting).flatMap(ensure)].join('\n')}`
}

function facts(setting: Setting): string {
  const { config, domains, issuer, choice } = setting
  const { rules: list, schema_version: version } = keystoneMapping(config, new URL(issuer))
  const rules = jsonText(list).trimEnd() // JSON is YAML, and holds no braces that Ansible would fill
  return `- name: What the configuration of the gateway says
  ansible.builtin.set_fact:
    lotse_api: ${ansibleText(setting.api)}
    lotse_domain: ${ansibleText(config.domain)}
    lotse_domain_names: [${domains.map((domain) => ansibleText(domain)).join(', ')}]
    lotse_idp: ${ansibleText(config.identityProvider)}
    lotse_protocol: ${ansibleText(config.protocol)}
    lotse_issuer: ${ansibleText(issuer)}
    lotse_choice: ${ansibleText(choice)}
    lotse_schema: {${version === undefined ? '' : `schema_version: "${version}"`}}
    lotse_rules:
${rules.replace(/^/gm, '      ')}
`
}

const token = `- name: Sign in at Keystone
  ansible.builtin.command: { argv: [openstack, token, issue, -f, value, -c, id] }
  register: lotse_token
  changed_when: false
  check_mode: false
  no_log: true
`

const headers = `headers: { X-Auth-Token: ${v('lotse_token.stdout')} }`

const lookForDomains = (title: string) => `- name: ${title}
  ansible.builtin.uri:
    url: ${v("lotse_api ~ '/domains?name=' ~ (item | urlencode)")}
    ${headers}
  loop: ${v('lotse_domain_names')}
  register: lotse_domains
  check_mode: false
`

const domains = [
  lookForDomains('Look for the domains in which people live'),
  `- name: Make those that are missing
  ansible.builtin.uri:
    url: ${v("lotse_api ~ '/domains'")}
    method: POST
    ${headers}
    body_format: json
    body: { domain: { name: ${v('item.item')} } }
    status_code: [201]
  loop: ${v('lotse_domains.results')}
  loop_control: { label: ${v('item.item')} }
  when: item.json.domains | length == 0
  changed_when: true
`,
  lookForDomains('Look for them again'),
]

const domainId =
  "(lotse_domains.results | map(attribute='json.domains') | flatten | selectattr('name', 'equalto', lotse_domain) | first).id"

function things({ config }: Setting): readonly Thing[] {
  const idp = `/OS-FEDERATION/identity_providers/${config.identityProvider}`
  const provider = "'enabled': true, 'remote_ids': [lotse_issuer]"
  return [
    {
      title: 'identity provider with its one issuer',
      variable: 'provider',
      path: idp,
      wrap: 'identity_provider',
      made: `{${provider}, 'description': lotse_choice, 'domain_id': ${domainId}}`,
      changed: `{${provider}}`,
      differs: 'there.remote_ids != [lotse_issuer] or not there.enabled',
    },
    {
      title: 'mapping',
      variable: 'mapping',
      path: `/OS-FEDERATION/mappings/${config.identityProvider}`,
      wrap: 'mapping',
      made: "{'rules': lotse_rules} | combine(lotse_schema)",
      changed: "{'rules': lotse_rules} | combine(lotse_schema)",
      differs:
        "there.rules != lotse_rules or there.schema_version | default('1.0') != lotse_schema.schema_version | default('1.0')",
    },
    {
      title: 'protocol',
      variable: 'protocol',
      path: `${idp}/protocols/${config.protocol}`,
      wrap: 'protocol',
      made: "{'mapping_id': lotse_idp}",
      changed: "{'mapping_id': lotse_idp}",
      differs: 'there.mapping_id != lotse_idp',
    },
  ]
}

function ensure({ title, variable, path, wrap, made: fresh, changed, differs }: Thing): readonly string[] {
  const found = `lotse_found_${variable}`
  const url = `url: ${v(`lotse_api ~ '${path}'`)}`
  const there = differs.replaceAll(/\bthere\b/g, `${found}.json.${wrap}`)
  const write = (how: string, method: 'PUT' | 'PATCH', body: string, when: string) => `- name: ${how} the ${title}
  ansible.builtin.uri:
    ${url}
    method: ${method}
    ${headers}
    body_format: json
    body: ${v(`{'${wrap}': ${body}}`)}
    status_code: [200, 201]
  when: ${when}
  changed_when: true
`
  return [
    `- name: Look for the ${title}
  ansible.builtin.uri:
    ${url}
    ${headers}
    status_code: [200, 404]
  register: ${found}
  check_mode: false
`,
    write('Make', 'PUT', fresh, `${found}.status == 404`),
    write('Change', 'PATCH', changed, `${found}.status == 200 and (${there})`),
  ]
}
