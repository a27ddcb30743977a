import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { root } from './support/runner.ts'

/** Who may import what: folders of `src/`, or single files there; and packages, for a whole part or one place in it. */
interface Part {
  readonly imports: readonly string[] | 'everything'
  readonly packages: Readonly<Record<string, string>>
}

// Every part may import core. A package stands with the one file or folder that may know it.
const parts: Readonly<Record<string, Part>> = {
  core: { imports: [], packages: {} },
  config: { imports: [], packages: { zod: 'config/', yaml: 'config/' } },
  connectors: {
    imports: ['config'],
    packages: {
      zod: 'connectors/',
      'openid-client': 'connectors/oidc/',
      jose: 'connectors/',
      '@node-saml/node-saml': 'connectors/saml/',
      'xml-crypto': 'connectors/saml/',
      saxes: 'connectors/saml/',
      pkijs: 'connectors/wallet/keys/',
      jsonld: 'connectors/wallet/tagus/',
    },
  },
  targets: { imports: ['config'], packages: { zod: 'targets/', yaml: 'targets/kubernetes/' } },
  leases: { imports: ['targets', 'lifecycle', 'store', 'audit.ts'], packages: {} },
  lifecycle: { imports: ['connectors', 'store', 'audit.ts'], packages: {} },
  store: { imports: [], packages: { redis: 'store/redis/' } },
  keys: { imports: ['store'], packages: { jose: 'keys/' } },
  fetcher: { imports: [], packages: {} },
  http: {
    imports: ['config', 'connectors', 'targets', 'lifecycle', 'leases', 'store', 'keys', 'audit.ts'],
    packages: { koa: 'http/', 'oidc-provider': 'http/', 'prom-client': 'http/metrics.ts', qr: 'http/pages/qr.ts' },
  },
  'audit.ts': { imports: [], packages: {} },
  'audit-log.ts': { imports: ['audit.ts'], packages: {} },
  'log.ts': { imports: [], packages: { pino: 'log.ts' } },
  'regex.ts': { imports: [], packages: { re2js: 'regex.ts' } },
  'server.ts': { imports: ['config'], packages: {} },
  'app.ts': { imports: 'everything', packages: {} },
  'fleet.ts': { imports: ['store'], packages: {} },
  'signing.ts': { imports: ['config', 'keys', 'store', 'targets', 'audit.ts'], packages: {} },
  'upstreams.ts': {
    imports: ['config', 'connectors', 'http', 'keys', 'store', 'fetcher', 'regex.ts'],
    packages: {},
  },
  'live-targets.ts': { imports: ['config', 'http', 'leases', 'targets', 'fetcher'], packages: {} },
  'configuration.ts': { imports: 'everything', packages: {} },
  cli: { imports: 'everything', packages: {} },
  // The upstreams, the wallet and the client that the demo plays are other people's programs: they use the libraries that those would.
  demo: {
    imports: 'everything',
    packages: { 'oidc-provider': 'demo/', 'openid-client': 'demo/', jose: 'demo/wallet/' },
  },
  'process.ts': { imports: ['cli'], packages: {} },
  'main.ts': { imports: 'everything', packages: {} },
  'workstation.ts': { imports: 'everything', packages: {} },
}

/** Parts that give others only types and option fields: what connectors, targets and http may see of config. */
const doors: Readonly<Record<string, RegExp>> = { config: /^config\/(?:fields|schema|clients|gateway)\.ts$/ }

/** Where a rule below does not hold, with the reason. */
const exceptions: Readonly<Record<string, string>> = {
  'connectors/oidc/upstream.ts Date.now': 'openid-client reads the wall clock: the distance to ours is handed to it',
}

interface Source {
  readonly file: string
  readonly text: string
  readonly part: string
}

const sources: readonly Source[] = globSync('**/*.ts', { cwd: join(root, 'src') })
  .sort()
  .map((file) => ({ file, text: readFileSync(join(root, 'src', file), 'utf8'), part: partOf(file) }))

function partOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : file
}

function importsOf({ text }: Source): readonly string[] {
  const pattern = /^(?:import|export)\b[^'";]*?\bfrom '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm
  return [...text.matchAll(pattern)].map(([, from, bare, lazy]) => from ?? bare ?? lazy ?? '')
}

/** The file below `src/` that a relative import names. */
const resolved = (file: string, name: string) => normalize(join(dirname(file), name))

/** The code without comments and string literals. */
function codeOf(text: string): string {
  return text.replace(/'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, '')
}

/** The package of an import that names a file in it. */
const packageOf = (name: string) => /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name

function refusal(source: Source, name: string): string | undefined {
  const { file, part } = source
  const rule = parts[part]
  if (rule === undefined) return `${file}: ${part} is not in the table of this test`
  if (name.startsWith('node:')) {
    return part === 'core' && name !== 'node:crypto'
      ? `${file}: core does no I/O, so it may not import ${name}`
      : undefined
  }
  if (!name.startsWith('.')) {
    const home = rule.packages[packageOf(name)]
    return home !== undefined && file.startsWith(home) ? undefined : `${file}: may not import the package ${name}`
  }
  const to = resolved(file, name)
  const other = partOf(to)
  if (other === part || other === 'core' || rule.imports === 'everything') return undefined
  if (to.startsWith('..')) return `${file}: imports ${name} from outside src`
  const open = rule.imports.includes(other) && (doors[other]?.test(to) ?? true)
  return open ? undefined : `${file}: ${part} may not import ${to}`
}

test('every import is one that the table allows', () => {
  const refusals = sources.flatMap((source) => importsOf(source).flatMap((name) => refusal(source, name) ?? []))
  assert.deepEqual(refusals, [])
})

test('docs/architecture.md has the same parts in its table, with the same packages', () => {
  const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8')
  const rows = [...page.matchAll(/^\| (`src\/.*?) \| (.*?) ?\| (.*) \|$/gm)].map(([, names = '', , packages = '']) => ({
    names: [...names.matchAll(/`src\/([\w.-]+)\/?`/g)].map(([, name = '']) => name),
    packages,
  }))
  assert.deepEqual(rows.flatMap(({ names }) => names).sort(), Object.keys(parts).sort())
  const absent = Object.entries(parts).flatMap(([part, { packages }]) =>
    part === 'demo' // its row names none: they are other people's programs
      ? []
      : Object.keys(packages).filter(
          (name) => !rows.find(({ names }) => names.includes(part))?.packages.includes(name),
        ),
  )
  assert.deepEqual(absent, [])
})

test('the import reader sees imports, re-exports and lazy imports', () => {
  const text =
    "import a, {\n  b,\n} from './a.ts'\nexport { c } from './c.ts'\nimport './d.ts'\nf(() => import('./e.ts'))\n"
  assert.deepEqual(importsOf({ file: 'x.ts', text, part: 'x.ts' }), ['./a.ts', './c.ts', './d.ts', './e.ts'])
  assert.match(refusal({ file: 'core/x.ts', text: '', part: 'core' }, 'zod') ?? '', /may not/)
  assert.match(refusal({ file: 'targets/x.ts', text: '', part: 'targets' }, '../store/store.ts') ?? '', /may not/)
  assert.match(refusal({ file: 'http/x.ts', text: '', part: 'http' }, 'prom-client') ?? '', /may not/)
})

test('no two folders import each other, directly or in a round', () => {
  const edges = new Map<string, Set<string>>()
  for (const source of sources) {
    for (const name of importsOf(source)) {
      const to = partOf(resolved(source.file, name))
      if (!name.startsWith('.') || to === source.part) continue
      edges.set(source.part, (edges.get(source.part) ?? new Set()).add(to))
    }
  }
  const rounds: string[] = []
  const walk = (path: readonly string[]) => {
    for (const next of edges.get(path.at(-1) ?? '') ?? []) {
      if (next === path[0]) rounds.push([...path, next].join(' → '))
      else if (!path.includes(next) && next > (path[0] ?? '')) walk([...path, next])
    }
  }
  for (const part of edges.keys()) walk([part])
  assert.deepEqual(rounds, [])
})

/** Code that only some files may have; everything else gets it by argument. */
const powers: readonly (readonly [name: string, pattern: RegExp, allowed: RegExp])[] = [
  ['process', /\bprocess\b\s*[.[]/, /^process\.ts$/],
  ['Date.now', /\bDate\.now\s*\(|\bnew Date\(\)/, /^process\.ts$/],
  ['Math.random', /\bMath\.random\b/, /^$/],
  ['console', /\bconsole\./, /^process\.ts$/],
]

for (const [name, pattern, allowed] of powers) {
  test(`${name} is used by nobody but those who hand it on`, () => {
    const users = sources
      .filter(({ file, text }) => !allowed.test(file) && (pattern.test(codeOf(text)) || importsPower(text, name)))
      .filter(({ file }) => exceptions[`${file} ${name}`] === undefined)
    assert.deepEqual(
      users.map(({ file }) => file),
      [],
    )
  })
}

function importsPower(text: string, name: string): boolean {
  return name === 'process' && /from '(?:node:)?process'/.test(text)
}

test('every exception is still needed', () => {
  const stale = Object.keys(exceptions).filter((key) => {
    const [file = '', name = ''] = key.split(' ')
    const power = powers.find(([candidate]) => candidate === name)
    const source = sources.find((candidate) => candidate.file === file)
    return power === undefined || source === undefined || !power[1].test(codeOf(source.text))
  })
  assert.deepEqual(stale, [])
})

test('src holds TypeScript only: the build copies nothing else', () => {
  const others = globSync('**/*.*', { cwd: join(root, 'src') }).filter((file) => !file.endsWith('.ts'))
  assert.deepEqual(others, [])
})

test('a file of about 300 lines is the longest there is', (t) => {
  const lengths = sources.map(({ file, text }) => ({ file, lines: text.split('\n').length - 1 }))
  for (const { file, lines } of lengths.filter(({ lines }) => lines > 300)) t.diagnostic(`${file} has ${lines} lines`)
  assert.deepEqual(
    lengths.filter(({ lines }) => lines > 400),
    [],
  )
})

test('runtime packages are pinned exactly, and each is known to somebody', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >
  const dependencies = manifest['dependencies'] ?? {}
  for (const [name, version] of Object.entries({ ...dependencies, ...manifest['devDependencies'] })) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name)
  }
  const known = new Set(Object.values(parts).flatMap(({ packages }) => Object.keys(packages)))
  assert.deepEqual([...known].sort(), Object.keys(dependencies).sort())
})
