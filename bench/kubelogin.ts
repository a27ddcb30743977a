import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { signJws } from '../src/keys/jws.ts'
import { generateKey } from '../src/keys/keypair.ts'

/** A program that kubectl could run as its plugin. */
export interface Plugin {
  readonly words: readonly [program: string, ...words: string[]]
  readonly env: Readonly<Record<string, string>>
}

const execInfo = JSON.stringify({
  apiVersion: 'client.authentication.k8s.io/v1',
  kind: 'ExecCredential',
  spec: { interactive: false },
})

/**
 * kubelogin with a token of the usual size in its cache, so that it asks nobody any more.
 * @param folder its home
 */
export async function cachedKubelogin(program: string, folder: string): Promise<Plugin> {
  const pair = await generateKey('ES256', 2048)
  const server = createServer((request, response) => {
    const iat = Math.floor(Date.now() / 1000)
    const token = () =>
      signJws(pair, 'JWT', { iss, aud: 'bench', sub: 'ada', iat, exp: iat + 3600, groups: ['g'.repeat(600)] })
    const answers: Readonly<Record<string, () => unknown>> = {
      '/.well-known/openid-configuration': () => ({
        ...{
          issuer: iss,
          jwks_uri: `${iss}/jwks`,
          token_endpoint: `${iss}/token`,
          authorization_endpoint: `${iss}/auth`,
        },
        id_token_signing_alg_values_supported: ['ES256'],
      }),
      '/jwks': () => ({ keys: [pair.publicJwk] }),
      '/token': () => ({ access_token: token(), id_token: token(), token_type: 'Bearer', expires_in: 3600 }),
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(answers[request.url ?? '']?.() ?? {}))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const iss = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const words = [
    program,
    ...['get-token', `--oidc-issuer-url=${iss}`, '--oidc-client-id=bench', '--oidc-client-secret=s'],
    '--grant-type=client-credentials',
  ] as const
  const env = { HOME: folder, KUBERNETES_EXEC_INFO: execInfo }
  try {
    await promisify(execFile)(words[0], words.slice(1), { env, timeout: 10_000 })
  } finally {
    server.close()
  }
  return { words: [...words], env }
}
