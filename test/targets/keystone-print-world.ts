import { type ClientConfig, clientSchema } from '../../src/config/clients.ts'
import type { GeneratedFile } from '../../src/core/ports.ts'
import type { KeystoneConfig } from '../../src/targets/keystone/options.ts'
import type { PrintWorld } from '../../src/targets/target.ts'
import { keystoneConfig } from './keystone-reader.ts'

type Written = Readonly<Record<string, unknown>>

export const SECRET = 'apache-secret-0123456789-0123456789'
export const ROBOT = 'robot-secret-0123456789-0123456789'

/** A Keystone as the loader leaves it, whose Apache is the client `keystone`. */
export const keystone = (more: Written = {}): KeystoneConfig => keystoneConfig({ audience: 'keystone', ...more })

/** A client as the loader leaves it: the secret is the text itself. */
export const client = ({ secret, ...written }: Written & { readonly secret?: string }): ClientConfig => ({
  ...clientSchema.parse(written),
  ...(secret === undefined ? {} : { secret }),
})

export const apache = (more: Written = {}): ClientConfig =>
  client({
    id: 'keystone',
    target: 'cloud',
    accessToken: 'opaque',
    auth: 'client_secret_basic',
    secret: SECRET,
    grants: ['code', 'implicit'],
    introspect: true,
    redirectUris: ['https://keystone.example/redirect_uri'],
    backchannelLogout: { url: 'https://keystone.example/redirect_uri?logout=backchannel' },
    ...more,
  })

/** A client of each kind that an `openstack` command can be. */
export const commandLines: readonly ClientConfig[] = [
  client({ id: 'cli', target: 'cloud', native: true, grants: ['device', 'refresh'], neverSlowDown: true }),
  client({
    id: 'paste',
    target: 'cloud',
    native: true,
    grants: ['code'],
    pkce: 'optional',
    redirectUris: ['http://127.0.0.1/cb'],
  }),
  client({
    id: 'robot',
    target: 'cloud',
    auth: 'client_secret_basic',
    secret: ROBOT,
    grants: ['client_credentials'],
    serviceAccount: { connector: 'corp', id: 'robot' },
  }),
  client({ id: 'kubectl', target: 'prod', native: true, grants: ['device'] }),
]

export const world = (more: Partial<PrintWorld> = {}): PrintWorld => ({
  issuer: new URL('https://login.example'),
  clients: [apache(), ...commandLines],
  domains: ['corp'],
  ...more,
})

/** The text of one file. @throws where it is not there */
export function textOf(files: readonly GeneratedFile[], path: string): string {
  const found = files.find((file) => file.path === path)
  if (!found) throw new Error(`no ${path} among ${files.map((file) => file.path).join(', ')}`)
  return found.content
}

/** Arguments of a line of Apache's configuration, read as Apache reads them (ap_getword_conf). */
export function apacheWords(line: string): string[] {
  const words: string[] = []
  let rest = line.trim()
  while (rest !== '') {
    const quote = rest[0] === '"' || rest[0] === "'" ? rest[0] : undefined
    let word = ''
    let at = quote ? 1 : 0
    while (at < rest.length && (quote ? rest[at] !== quote : !/\s/.test(rest[at] ?? ''))) {
      const next = rest[at + 1]
      if (rest[at] === '\\' && (next === '\\' || (quote !== undefined && next === quote))) at += 1
      word += rest[at]
      at += 1
    }
    words.push(word)
    rest = rest.slice(at + (quote ? 1 : 0)).trim()
  }
  return words
}
