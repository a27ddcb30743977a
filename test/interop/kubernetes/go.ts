import { chmod, glob, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { installPackages } from '../group.ts'
import { cacheFolder } from '../upstreams/cache.ts'
import { output } from '../upstreams/server.ts'

/** What the machine has, or GO names. */
const go = process.env['GO'] ?? 'go'

/** The Go that is fetched where the machine's is too old to fetch one by itself; the newest that any of the modules asks for, or newer. */
const RELEASE = '1.26.8'

/** Go's own caches are kept: what was interrupted goes on where it was. */
const caches = join(cacheFolder, 'go')
const env = {
  GOMODCACHE: join(caches, 'modules'),
  GOCACHE: join(caches, 'build'),
  GOFLAGS: '-mod=readonly -buildvcs=false',
  CGO_ENABLED: '0',
  GOWORK: 'off',
  GOTOOLCHAIN: 'auto', // fetched as a module, too, where the machine's own is older than the modules ask for
}

export interface Build {
  /** A folder with go.mod and go.sum. */
  readonly module: string
  /** What is built, as an import path or a path inside. */
  readonly package: string
  readonly ldflags: string
}

/** Builds a program into a file. @throws with the end of what Go said, which names a module that could not be had */
export async function build({ module, package: name, ldflags }: Build, file: string): Promise<void> {
  await mkdir(caches, { recursive: true })
  const args = ['build', '-p', '2', '-trimpath', '-ldflags', ldflags, '-o', file, name]
  await run(await goProgram(), args, module)
}

async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  return output({ command: 'nice', args: ['-n', '10', program, ...args], env, cwd }, 3600).catch((error: unknown) => {
    const said = (error as { readonly stderr?: string }).stderr ?? String(error)
    const lines = said.split('\n').filter((line) => line !== '' && !line.startsWith('go: downloading'))
    throw new Error(lines.slice(-8).join('\n'))
  })
}

/** Since 1.21 Go fetches the version that a module asks for; Debian 12's cannot, so it fetches that one as a module like any other. */
async function goProgram(): Promise<string> {
  if (process.env['GO'] === undefined) await installPackages({ go: 'golang-go' })
  const [, minor = '0'] = /go1\.(\d+)/.exec(await output({ command: go, args: ['version'] }, 30)) ?? []
  if (Number(minor) >= 21) return go
  const platform = `linux-${process.arch === 'x64' ? 'amd64' : process.arch}`
  const said = await run(
    go,
    ['mod', 'download', '-json', `golang.org/toolchain@v0.0.1-go${RELEASE}.${platform}`],
    caches,
  )
  const { Dir: folder } = JSON.parse(said) as { readonly Dir: string }
  // Modules have no programs, so what is one here has to be made one.
  for await (const program of glob('{bin,pkg/tool/*}/*', { cwd: folder })) await chmod(join(folder, program), 0o755)
  return join(folder, 'bin/go')
}
