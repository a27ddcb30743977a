import { hash, X509Certificate } from 'node:crypto'
import type { GeneratedFile } from '../../core/ports.ts'
import type { ConnectorPorts } from '../connector.ts'
import type { DcqlQuery } from './dcql.ts'
import type { WalletConfig } from './options.ts'
import type { Signer } from './signer.ts'
import { pemIn } from './sources.ts'

/** What is told of the gateway. */
export interface Printed {
  readonly config: WalletConfig
  readonly ports: Pick<ConnectorPorts, 'wallet' | 'callback'>
  readonly query: DcqlQuery
  /** Undefined where nothing is signed. */
  readonly signer: Signer | undefined
}

/** What has to be registered with wallets, ecosystems and issuers so that people can present to the gateway. */
export function print(printed: Printed): readonly GeneratedFile[] {
  const { config, query } = printed
  const chain = chainOf(config)
  return [
    { path: `${config.id}/README.md`, content: page(printed) },
    { path: `${config.id}/dcql.json`, content: `${JSON.stringify(query, null, 2)}\n` },
    ...(chain.length > 0 ? [{ path: `${config.id}/certificate.pem`, content: `${chain.join('\n')}\n` }] : []),
  ]
}

const chainOf = ({ clientIdPrefix, certificate = '' }: WalletConfig) =>
  clientIdPrefix.startsWith('x509_') ? pemIn(certificate) : []

function page({ config, ports, signer }: Printed): string {
  const { wallet, callback } = ports
  const any = new URL(`${wallet.response.pathname}/ID`, wallet.response)
  const clientId = signer ? signer.clientId(any) : `redirect_uri:${any.href}`
  return `# ${config.label}: the gateway as a verifier (OpenID4VP 1.0)

| what | value |
|---|---|
| client id | \`${clientId}\` |
| requests (\`request_uri\`, GET and POST) | \`${wallet.request.href}/…\` |
| answers (\`response_uri\`, ${config.response === 'encrypted' ? '`direct_post.jwt`' : '`direct_post`'}) | \`${wallet.response.href}/…\` |
| where people come back to (\`redirect_uri\` of the answer) | \`${callback.href}\` |
| the link to the wallet | \`${config.walletUrl}\` |
${identity(config)}
\`…\` is another name at each sign-in: register the address as a prefix, or its host.

${config.response === 'encrypted' ? 'Answers are encrypted by ECDH-ES on P-256 with A128GCM or A256GCM, to a key that is made for each request.' : '**Answers are not encrypted**: whoever sees the traffic behind the TLS end point reads them.'}
Requests are ${signer ? 'signed with ES256 (`oauth-authz-req+jwt`)' : '**not signed**: for development alone'}.

What is asked for stands in \`dcql.json\`:

| name | format | types | speaks of |
|---|---|---|---|
${config.credentials
  .filter(({ from }) => from !== 'operator')
  .map(
    ({ id, format, types, about }) =>
      `| ${id} | \`${format}\` | ${types.map((type) => `\`${type}\``).join(', ')} | ${about === 'person' ? 'a person' : 'an organisation'} |`,
  )
  .join('\n')}
`
}

/** What a registry of verifiers wants to know of the key. */
function identity(config: WalletConfig): string {
  if (config.clientIdPrefix === 'decentralized_identifier') return `| key of the DID document | \`${config.did}\` |\n`
  return chainOf(config)
    .map((pem, index) => {
      const { subject, validToDate, raw } = new X509Certificate(pem)
      const what = index === 0 ? 'certificate' : `intermediate ${index}`
      const until = validToDate.toISOString().slice(0, 10)
      return `| ${what}, until ${until} | ${subject.replaceAll('\n', ', ')}; SHA-256 \`${hash('sha256', raw, 'hex')}\` |\n`
    })
    .join('')
}
