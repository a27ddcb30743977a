import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { installPackages } from '../group.ts'
import { cached, during } from '../upstreams/cache.ts'
import { build } from './go.ts'

/** The versions of Kubernetes that are tried, each a folder of modules/. */
export const versions = ['1.36', '1.37'] as const
export type Version = (typeof versions)[number]

/** Programs of one version, as paths. */
export interface Programs {
  readonly version: Version
  readonly apiserver: string
  readonly kubectl: string
  readonly etcd: string
  /** Our own program on go-oidc v3, which verifies tokens: modules/go-oidc. */
  readonly verifier: string
  /** Undefined where it cannot be had: its tests are skipped. */
  readonly kubelogin?: string
}

/** Where a program comes from. */
interface Source {
  /** A folder of modules/. */
  readonly module: string
  /** Its package. */
  readonly package: string
  /** The module whose version names it. */
  readonly of: string
  /** What it is, for the person who waits. */
  readonly label: string
  /** Files of ours that go into it. */
  readonly files?: readonly string[]
}

const kubernetes = { of: 'k8s.io/kubernetes', label: 'of Kubernetes' }
const apiserver = (version: Version): Source => ({
  ...kubernetes,
  module: version,
  package: 'k8s.io/kubernetes/cmd/kube-apiserver',
})
/** kubectl and etcd of the newest serve all. */
const kubectl: Source = { ...kubernetes, module: '1.37', package: 'k8s.io/kubernetes/cmd/kubectl' }
const etcd: Source = { ...kubernetes, module: '1.37', package: 'go.etcd.io/etcd/server/v3' }
const verifier: Source = {
  ...{ module: 'go-oidc', package: '.', of: 'github.com/coreos/go-oidc/v3', label: 'on go-oidc' },
  files: ['main.go'],
}
const kubelogin: Source = {
  ...{ module: 'kubelogin', package: 'github.com/int128/kubelogin' },
  ...{ of: 'github.com/int128/kubelogin', label: '' },
}

/**
 * Builds the programs from their public Go modules: about ten minutes for the first version and six for the next on two cores with nothing
 * cached, at once afterwards. What was interrupted goes on where it was, since Go's own caches are kept beside.
 */
export async function installKubernetes(): Promise<readonly Programs[]> {
  await installPackages({ curl: 'curl' }) // the guide's commands are tried
  const common = {
    verifier: await built('verifier', verifier),
    ...(await kubeloginIfAny()),
    etcd: await built('etcd', etcd),
    kubectl: await built('kubectl', kubectl),
  }
  const found: Programs[] = []
  for (const version of versions)
    found.push({ version, ...common, apiserver: await built('kube-apiserver', apiserver(version)) })
  return found
}

/** The one that KUBELOGIN names, else one that is built; what it misses is said, and no reason to stop. */
async function kubeloginIfAny(): Promise<Pick<Programs, 'kubelogin'>> {
  const named = process.env['KUBELOGIN']
  if (named !== undefined) return { kubelogin: named }
  try {
    return { kubelogin: await built('kubelogin', kubelogin) }
  } catch (error) {
    console.log(`  no kubelogin, so its tests are skipped (KUBELOGIN may name one): ${(error as Error).message}`)
    return {}
  }
}

/** A program, as a path. @throws with what could not be had */
async function built(name: string, source: Source): Promise<string> {
  const module = join(import.meta.dirname, 'modules', source.module)
  const read = (file: string) => readFile(join(module, file), 'utf8')
  const lock = await Promise.all(['go.mod', 'go.sum', ...(source.files ?? [])].map(read))
  const [, release = source.module] = new RegExp(`(?:^|\\s)${source.of} v(\\S+)`).exec(lock[0] ?? '') ?? []
  const digest = createHash('sha256').update(lock.join('')).digest('hex').slice(0, 12)
  const what = [name, source.label, release].filter(Boolean).join(' ')
  const folder = await cached(`${name}-${release}-${digest}`, async (made) => {
    const work = () => build({ module, package: source.package, ldflags: linked(release) }, join(made, name))
    await during(`building ${what}`, work).catch((error: Error) => {
      throw new Error(`${what} could not be built: ${error.message}`)
    })
  })
  return join(folder, name)
}

/** Without the flags the programs of Kubernetes call themselves v0.0.0, and kubectl warns of every server. */
function linked(release: string): string {
  const [major, minor] = release.split('.')
  const stamped = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].map(
    (name) => `-X ${name}.gitVersion=v${release} -X ${name}.gitMajor=${major} -X ${name}.gitMinor=${minor}`,
  )
  return ['-s -w', ...stamped].join(' ')
}
