import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { selfSigned } from '../../support/certificate.ts'
import { freePort } from '../../support/gateway.ts'
import { output, type Server, startServer } from '../upstreams/server.ts'
import type { Programs } from './install.ts'

/** One kube-apiserver on loopback, without a controller-manager and without nodes. */
export interface Cluster {
  readonly url: string
  /** PEM: its certificate, which is its own authority. */
  readonly ca: string
  /** kubectl as the cluster's administrator; what it printed. @throws with what it said where it fails */
  admin(...words: string[]): Promise<string>
  /** kubectl with somebody's token; what it printed, also where it fails. */
  kubectl(token: string, ...words: string[]): Promise<string>
  /** What the cluster calls the bearer of a token; the status alone where it refuses. */
  whoami(token: string): Promise<Seen>
  /** Everything that it logged since `from` characters. */
  log(from?: number): Promise<string>
  stop(): Promise<void>
}

/** A SelfSubjectReview's answer. */
export interface Seen {
  readonly status: number
  readonly username?: string
  readonly uid?: string
  readonly groups?: readonly string[]
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

export interface ClusterOptions {
  readonly name: string
  readonly programs: Programs
  /** A folder of this run. */
  readonly work: string
  readonly etcd: string
  readonly port: number
  /** How it knows the gateway. */
  readonly flags: readonly string[]
}

/** One etcd for all clusters of a run. */
export async function startEtcd({ etcd }: Programs, work: string): Promise<Server> {
  const [client, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`]
  const args = [
    ...['--data-dir', join(work, 'etcd'), '--unsafe-no-fsync', '--log-level', 'warn'],
    ...['--listen-client-urls', client, '--advertise-client-urls', client],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`],
  ]
  return startServer({ command: etcd, args, url: client, ready: '/health' }, 30)
}

/** Files that every kube-apiserver wants. */
async function files(folder: string) {
  await mkdir(folder, { recursive: true })
  // Certificates of one name would be taken for each other.
  const { key, cert } = selfSigned(`${randomBytes(8).toString('hex')}.invalid`)
  const accounts = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const admin = randomBytes(16).toString('hex')
  const texts = {
    'tls.crt': cert,
    'tls.key': key,
    'accounts.key': String(accounts.privateKey.export({ type: 'pkcs8', format: 'pem' })),
    'accounts.pub': String(accounts.publicKey.export({ type: 'spki', format: 'pem' })),
    'tokens.csv': `${admin},admin,1,"system:masters"\n`,
  }
  for (const [name, text] of Object.entries(texts)) await writeFile(join(folder, name), text)
  return { ca: cert, admin }
}

/** Starts it and waits until it is ready; it need not have reached the gateway yet. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { name, programs, work, etcd, port, flags } = options
  const folder = join(work, name)
  const { ca, admin } = await files(folder)
  setDefaultCACertificates([...getCACertificates('default'), ca])
  const at = (file: string) => join(folder, file)
  const url = `https://127.0.0.1:${port}`
  const args = [
    ...[`--etcd-servers=${etcd}`, `--etcd-prefix=/${name}`, '--endpoint-reconciler-type=none'],
    ...['--bind-address=127.0.0.1', '--advertise-address=127.0.0.1', `--secure-port=${port}`],
    ...[`--tls-cert-file=${at('tls.crt')}`, `--tls-private-key-file=${at('tls.key')}`],
    ...[`--service-account-issuer=${url}`, `--service-account-key-file=${at('accounts.pub')}`],
    ...[`--service-account-signing-key-file=${at('accounts.key')}`, '--service-cluster-ip-range=10.0.0.0/24'],
    ...[
      '--authorization-mode=RBAC',
      '--disable-admission-plugins=ServiceAccount',
      `--token-auth-file=${at('tokens.csv')}`,
    ],
    ...['--enable-priority-and-fairness=false', '--profiling=false', '-v=4', ...flags],
  ]
  // The log is wanted whole, and a pipe of this process keeps its end only.
  const shell = ['-c', 'log="$0"; exec "$@" >>"$log" 2>&1', at('log'), programs.apiserver, ...args]
  const log = async (from = 0) => (await readFile(at('log'), 'utf8').catch(() => '')).slice(from)
  const server = await startServer({ command: 'sh', args: shell, url, ready: '/readyz' }, 90).catch(async (error) => {
    throw new Error(`kube-apiserver ${name}: ${(await log()).slice(-3000)}`, { cause: error })
  })
  const call = (token: string, words: readonly string[]) => {
    const access = [`--server=${url}`, `--certificate-authority=${at('tls.crt')}`, `--token=${token}`]
    return output(
      { command: programs.kubectl, args: [...access, ...words], env: { HOME: folder, KUBECONFIG: '/dev/null' } },
      60,
    )
  }
  return {
    url,
    ca,
    log,
    stop: server.stop,
    admin: (...words) => call(admin, words),
    kubectl: (token, ...words) => call(token, words).catch((error: { stdout?: string }) => error.stdout ?? ''),
    whoami: (token) => whoami(url, token),
  }
}

/** What `kubectl auth whoami` asks. */
async function whoami(url: string, token: string): Promise<Seen> {
  const answer = await fetch(`${url}/apis/authentication.k8s.io/v1/selfsubjectreviews`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }),
  })
  const { status } = (await answer.json()) as { readonly status?: { readonly userInfo?: Omit<Seen, 'status'> } }
  return { ...(typeof status === 'object' ? status.userInfo : undefined), status: answer.status }
}
