/**
 * `npm run build:cli [-- --node FILE]`: the commands for a person's own machine as one program, `dist-cli/lotse`, that needs no Node beside it.
 * Made by Node's own `--build-sea`, with its code cache; that came with Node 25.5, so the Node that goes into the program is a later one than
 * the gateway's, pinned here and fetched by npm, or the one that `--node` names.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { arch, platform, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

const NODE = '26.10.0'
const root = join(import.meta.dirname, '..')
const folder = join(root, 'dist-cli')
const windows = platform() === 'win32'

/** Node as npm has it for this machine, in a folder that is kept: 125 MB come once. */
function fetchedNode(): string {
  const kept = process.env['LOTSE_NODE_CACHE'] ?? join(tmpdir(), `lotse-node-${NODE}`)
  const name = `node-${windows ? 'win' : platform()}-${arch()}`
  const file = join(kept, 'node_modules', name, 'bin', windows ? 'node.exe' : 'node')
  if (existsSync(file)) return file
  console.log(`fetching ${name}@${NODE}`)
  mkdirSync(kept, { recursive: true })
  writeFileSync(join(kept, 'package.json'), '{ "private": true }')
  const words = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--save-exact', `${name}@${NODE}`]
  execFileSync(windows ? 'npm.cmd' : 'npm', words, { cwd: kept, stdio: 'inherit', shell: windows })
  return file
}

const { values } = parseArgs({ options: { node: { type: 'string' } } })
const node = values.node === undefined ? fetchedNode() : resolve(values.node)
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
const work = mkdtempSync(join(tmpdir(), 'lotse-cli-'))
const script = join(work, 'lotse.cjs')
const output = join(folder, windows ? 'lotse.exe' : 'lotse')
await build({
  absWorkingDir: root,
  entryPoints: ['src/workstation.ts'],
  outfile: script,
  bundle: true,
  platform: 'node',
  // In a CommonJS bundle a module is evaluated when it is first asked for: a token that is kept needs no network and no lock.
  format: 'cjs',
  target: 'node26',
  minifySyntax: true,
  minifyWhitespace: true,
  define: { LOTSE_VERSION: JSON.stringify(version), 'import.meta.url': '""' },
  // Reading a configuration needs the packages of the gateway; this program is told by options and variables.
  plugins: [
    {
      name: 'no configuration',
      setup({ onLoad }) {
        const contents = `export const configurationReader = () => { throw new Error('this program reads no configuration of a gateway; give --issuer and --client') }`
        onLoad({ filter: /[\\/]src[\\/]configuration\.ts$/ }, () => ({ contents, loader: 'js' }))
      },
    },
  ],
  logLevel: 'warning',
})
mkdirSync(folder, { recursive: true })
const config = join(work, 'sea.json')
const execArgv = ['--no-warnings']
writeFileSync(
  config,
  JSON.stringify({
    main: script,
    output,
    executable: node,
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    execArgv,
    // NODE_OPTIONS of another project would change what this program does.
    execArgvExtension: 'none',
  }),
)
execFileSync(node, ['--build-sea', config], { stdio: 'inherit' })
rmSync(work, { recursive: true })
const inside = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
console.log(`${output}: ${(statSync(output).size / 2 ** 20).toFixed(0)} MB, Node ${inside.slice(1)}`)
