import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { installPackages } from '../group.ts'
import { cached, cacheFolder, during } from '../upstreams/cache.ts'
import { output } from '../upstreams/server.ts'

/** The versions of Kubernetes that are tried, each a folder of modules/. */
export const versions = ['1.36', '1.37'] as const
export type Version = (typeof versions)[number]

/** Programs of one version, as paths. */
export interface Programs {
  readonly version: Version
  readonly apiserver: string
  readonly kubectl: string
  readonly etcd: string
}

/** Program → package of the module that has it. kubectl and etcd of the newest serve all. */
const packages = {
  etcd: 'go.etcd.io/etcd/server/v3',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
} as const
type Program = keyof typeof packages

const modules = (version: Version) => join(import.meta.dirname, 'modules', version)
const go = process.env['GO'] ?? 'go'

/**
 * Builds the programs from their public Go modules: about ten minutes for the first version and six for the next on two cores with nothing
 * cached, at once afterwards. What was interrupted goes on where it was, since Go's own caches are kept beside.
 */
export async function installKubernetes(): Promise<readonly Programs[]> {
  if (process.env['GO'] === undefined) await installPackages({ go: 'golang-go' })
  const found: Programs[] = []
  for (const version of versions) {
    found.push({
      version,
      apiserver: await built(version, 'kube-apiserver'),
      kubectl: await built('1.37', 'kubectl'),
      etcd: await built('1.37', 'etcd'),
    })
  }
  return found
}

async function built(version: Version, program: Program): Promise<string> {
  const lock = await Promise.all(['go.mod', 'go.sum'].map((file) => readFile(join(modules(version), file), 'utf8')))
  const [, release = version] = /^\s*k8s\.io\/kubernetes v(\S+)/m.exec(lock[0] ?? '') ?? []
  const digest = createHash('sha256').update(lock.join('')).digest('hex').slice(0, 12)
  const folder = await cached(`${program}-${release}-${digest}`, async (made) => {
    await during(`building ${program} of Kubernetes ${release}`, () => build(version, program, join(made, program)))
  })
  return join(folder, program)
}

/** Without the flags the programs call themselves v0.0.0, and kubectl warns of every server. */
function linked(version: Version, release: string): string {
  const [major, minor] = version.split('.')
  const stamped = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].map(
    (name) => `-X ${name}.gitVersion=v${release} -X ${name}.gitMajor=${major} -X ${name}.gitMinor=${minor}`,
  )
  return ['-s -w', ...stamped].join(' ')
}

async function build(version: Version, program: Program, file: string): Promise<void> {
  const caches = join(cacheFolder, 'go')
  await mkdir(caches, { recursive: true })
  const [, release = ''] =
    /^\s*k8s\.io\/kubernetes v(\S+)/m.exec(await readFile(join(modules(version), 'go.mod'), 'utf8')) ?? []
  const args = ['build', '-p', '2', '-trimpath', '-ldflags', linked(version, release), '-o', file, packages[program]]
  const env = {
    GOMODCACHE: join(caches, 'modules'),
    GOCACHE: join(caches, 'build'),
    GOFLAGS: '-mod=readonly -buildvcs=false',
    CGO_ENABLED: '0',
    GOWORK: 'off',
    GOTOOLCHAIN: 'auto', // fetched as a module, too, where the machine's own is older than the modules ask for
  }
  await output({ command: 'nice', args: ['-n', '10', go, ...args], env, cwd: modules(version) }, 3600)
}
