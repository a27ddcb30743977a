import { z } from 'zod'
import type { ConfigSchema } from './compose.ts'
import { connectorFields, targetFields } from './schema.ts'

/** The two files that are generated from the schema. */
export interface Documents {
  /** config/schema.json: JSON Schema 2020-12 of what a person writes; `$defs.tenant` is that of a tenant's file. */
  readonly schema: string
  /** docs/config.md */
  readonly markdown: string
}

type Node = z.core.JSONSchema.JSONSchema

/** Sections of the page, in its order; keys of the main file that stand nowhere else come first. */
const sections: readonly { readonly title: string; readonly key: string; readonly text: string }[] = [
  { title: 'Clients', key: 'clients', text: 'OAuth clients of the gateway, one entry each.' },
  {
    title: 'Connectors',
    key: 'connectors',
    text: 'Upstreams that prove who somebody is; `type` says which further keys there are.',
  },
  { title: 'Targets', key: 'targets', text: 'Consumers of tokens; `type` says which further keys there are.' },
  { title: 'Rules', key: 'rules', text: 'Who gets what. docs/guides/rules.md explains them by example.' },
  { title: 'Rule sets, vars, tables, assurance', key: 'ruleSets vars tables assurance', text: 'What rules share.' },
  { title: 'Break glass', key: 'breakGlass', text: 'Named people who get a power for minutes, in an emergency.' },
  {
    title: 'Tests',
    key: 'tests',
    text: 'A configuration whose tests fail does not load. Tests of the main file see no tenant; a tenant has its own.',
  },
  { title: 'Tenants', key: 'tenants', text: 'What customers may have whose files lie beside the main file.' },
]

/** Makes both files; equal schemas make equal bytes. */
export function documents(schema: ConfigSchema): Documents {
  const main = z.toJSONSchema(schema.main, { io: 'input' })
  const tenant = z.toJSONSchema(schema.tenant, { io: 'input' })
  const { $schema, ...rest } = main
  const { $schema: _, ...tenantRest } = tenant
  const title = 'The configuration of Lotse'
  const json = { $schema, title, ...rest, $defs: { tenant: { title: "A tenant's file", ...tenantRest } } }
  return { schema: `${JSON.stringify(json, null, 2)}\n`, markdown: page(main, tenant) }
}

const intro = `# Configuration

Generated from the schema by \`npm run docs\`; config/schema.json is the same for editors, and
config/gateway.example.yaml shows every option in use. \`lotse check\` reads a configuration and names all its mistakes.

- One YAML 1.2 file, anchors and merge keys included; unknown and duplicate keys are mistakes.
- A length of time is a number and a unit: \`90s\`, \`10m\`, \`12h\`, \`30d\`.
- A secret is never written down, only named: \`{ env: NAME }\` or \`{ file: path }\`; a line end after it is cut off.
- A relative path counts from the folder of the main file.
- **bold** keys must be written.
`

function page(main: Node, tenant: Node): string {
  const named = new Set(sections.flatMap(({ key }) => key.split(' ')))
  const server = Object.keys(main.properties ?? {}).filter((key) => !named.has(key))
  const parts = [
    '## The gateway itself\n',
    ...server.flatMap((key) => keyRows(main, key, '')).reduce(toTable, []),
    ...sections.flatMap(({ title, key, text }) => section(main, title, key.split(' '), text)),
    `\n## A tenant's file\n\n\`tenants/<tenant id>.yaml\`, confined to what the main file gives that tenant. Its secrets lie in files under
\`tenants/<tenant id>/\` or in variables that begin with \`LOTSE_<TENANT ID>__\`; a mistake in it disables this tenant and nothing else.\n`,
    ...Object.keys(tenant.properties ?? {})
      .flatMap((key) => keyRows({ ...tenant, properties: withoutItems(tenant) }, key, ''))
      .reduce(toTable, []),
  ]
  const body = parts.join('\n')
  return `${[intro, contents(body), body]
    .join('\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trimEnd()}\n`
}

/** Links to the sections, for who looks for one key among hundreds. */
function contents(body: string): string {
  const titles = [...body.matchAll(/^## (.+)$/gm)].map(([, title = '']) => title)
  const anchor = (title: string) =>
    title
      .toLowerCase()
      .replaceAll(/[^a-z0-9 ]/g, '')
      .replaceAll(' ', '-')
  return `${titles.map((title) => `[${title}](#${anchor(title)})`).join(' · ')}\n`
}

/** The tables of rules and connectors stand above once. */
function withoutItems(schema: Node): Record<string, Node | boolean> {
  const entries = Object.entries(schema.properties ?? {}).map(([key, value]) => {
    const { items: _, ...rest } = value as Node
    return [
      key,
      ['connectors', 'rules', 'tests'].includes(key)
        ? { ...rest, description: `As in the main file. ${rest.description ?? ''}`.trim() }
        : value,
    ]
  })
  return Object.fromEntries(entries) as Record<string, Node | boolean>
}

function section(main: Node, title: string, keys: readonly string[], text: string): readonly string[] {
  const head = `\n## ${title}\n\n${text}\n`
  const only = main.properties?.[keys[0] ?? ''] as Node | undefined
  const branches = ((only?.items as Node | undefined)?.oneOf ?? []) as readonly Node[]
  if (keys.length > 1 || branches.length === 0)
    return [head, ...keys.flatMap((key) => keyRows(main, key, '')).reduce(toTable, [])]
  const every = Object.keys(keys[0] === 'connectors' ? { ...connectorFields, identity: 0 } : targetFields)
  const common = Object.keys(branches[0]?.properties ?? {}).filter((key) => every.includes(key))
  return [
    head,
    `### Every entry of \`${keys[0]}\`\n`,
    ...common.flatMap((key) => keyRows(branches[0] ?? {}, key, '')).reduce(toTable, []),
    ...branches.flatMap((branch) => [
      `\n### \`type: ${String((branch.properties?.['type'] as Node | undefined)?.const)}\`\n`,
      ...Object.keys(branch.properties ?? {})
        .filter((key) => !common.includes(key) && key !== 'type')
        .flatMap((key) => keyRows(branch, key, ''))
        .reduce(toTable, []),
    ]),
  ]
}

type Row = readonly [key: string, type: string, fallback: string, text: string]

/** The row of one key, and those of the keys inside it. */
function keyRows(parent: Node, key: string, prefix: string): readonly Row[] {
  const node = parent.properties?.[key] as Node | undefined
  if (!node) return []
  const name = prefix + key
  const written = parent.required?.includes(key) ? `**\`${name}\`**` : `\`${name}\``
  const row: Row = [written, typeOf(node), fallbackOf(node), node.description ?? '']
  // Rule sets hold the same rules again.
  return [row, ...(key === 'ruleSets' ? [] : inside(node, name))]
}

function inside(node: Node, name: string): readonly Row[] {
  if (node.properties) return Object.keys(node.properties).flatMap((key) => keyRows(node, key, `${name}.`))
  if (node.oneOf) return branchRows(node.oneOf as readonly Node[], name)
  const items = node.items as Node | undefined
  if (items?.properties) return inside(items, `${name}[]`)
  const values = typeof node.additionalProperties === 'object' ? (node.additionalProperties as Node) : undefined
  return values?.properties ? inside(values, `${name}.<id>`) : []
}

/** Keys of a part that has several shapes; what tells the shapes apart stands before the keys of each. */
function branchRows(branches: readonly Node[], name: string): readonly Row[] {
  return branches.flatMap((branch) =>
    Object.keys(branch.properties ?? {}).flatMap((key) => keyRows(branch, key, `${name}.`)),
  )
}

function typeOf(node: Node): string {
  if (node.const !== undefined) return `\`${String(node.const)}\``
  if (node.enum) return node.enum.map((value) => `\`${String(value)}\``).join(' ')
  const choices = node.anyOf ?? node.oneOf
  if (choices) return [...new Set(choices.map((each) => typeOf(each as Node)))].join(' or ')
  if (node.type === 'array') return `list of ${typeOf((node.items as Node | undefined) ?? {})}`.replace(/ of $/, '')
  if (node.type === 'object' && node.properties) {
    const keys = Object.keys(node.properties)
    return keys.length <= 2 ? `\`{ ${keys.join(', ')} }\`` : 'keys'
  }
  if (node.type === 'object')
    return `name → ${typeof node.additionalProperties === 'object' ? typeOf(node.additionalProperties as Node) : 'value'}`
  if (node.pattern?.endsWith('[smhd]$')) return 'time'
  return { string: 'text', boolean: 'true, false', integer: 'number', number: 'number' }[String(node.type)] ?? ''
}

function fallbackOf(node: Node): string {
  const { default: value } = node
  if (value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)) return ''
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}

function toTable(lines: readonly string[], row: Row): readonly string[] {
  const head = lines.length > 0 ? [] : ['| key | type | default | what it is |', '|---|---|---|---|']
  const cells = row.map((cell) => cell.replaceAll('|', '\\|'))
  return [...lines, ...head, `| ${cells.join(' | ')} |`]
}
