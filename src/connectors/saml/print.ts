import { X509Certificate } from 'node:crypto'
import type { GeneratedFile } from '../../core/ports.ts'
import type { ConnectorPorts } from '../connector.ts'
import { requestName } from './attributes.ts'
import type { SamlConfig } from './options.ts'
import { spMetadata } from './sp-metadata.ts'

/** What the identity provider's operator needs: the gateway's metadata, and a page that says the same in words. */
export function print(config: SamlConfig, ports: ConnectorPorts): readonly GeneratedFile[] {
  const readme = { path: `${config.id}/README.md`, content: page(config, ports) }
  if (ports.sp.keys().length === 0) return [readme]
  return [
    readme,
    { path: `${config.id}/metadata.xml`, content: `${spMetadata(ports.sp, [ports], ports.logout.saml)}\n` },
  ]
}

function page(config: SamlConfig, { sp, callback, logout }: ConnectorPorts): string {
  const about = sp.about()
  const name = typeof about.name === 'string' ? about.name : (about.name['en'] ?? '')
  const attributes = about.attributes.map((each) => `| ${each} | \`${requestName(each)}\` |`)
  const [first = ''] = config.subject
  return `# ${name} as a SAML service provider for ${config.label}

Metadata: <${sp.entityId}/${config.id}>, always up to date; \`metadata.xml\` beside this page is a copy. Take the address if you can: then a
new key reaches you by itself. Its signature is by the same key.

| what | value |
|---|---|
| entityID | \`${sp.entityId}\` |
| Assertion Consumer Service (HTTP-POST) | \`${callback.href}\` |
| Single Logout Service (HTTP-Redirect, HTTP-POST) | \`${logout.saml.href}\` |
${certificates(sp)}

What the gateway asks of you:

- Sign the assertion or the response, or both, with RSA and SHA-256 or SHA-512${config.sha1 === 'allowed' ? ' (SHA-1 is taken from you for now)' : ''}. ${
    config.encrypted === 'required' ? 'Encrypt the assertion' : 'You may encrypt the assertion'
  }: AES-GCM, its key by RSA-OAEP.
- Answer by HTTP-POST, to the address above, what was asked: an answer that nobody asked for is not believed. \`Destination\`, \`Recipient\`,
  \`InResponseTo\` and the audience are checked.
- Verify our requests' signatures; every request is signed.
- Name each person for good, by the first of these that you can: ${config.subject.map((each) => `\`${each}\``).join(', ')}. ${
    first === 'emailAddress' || first === 'mail'
      ? ''
      : 'An e-mail address is no such name, since it may pass to another person.'
  }

Attributes that we ask for:

| attribute | name |
|---|---|
${attributes.join('\n')}
`
}

function certificates(sp: ConnectorPorts['sp']): string {
  const rows = sp.keys().flatMap(({ state, certificate }) => {
    if (state === 'retired') return []
    const { fingerprint256, validToDate } = new X509Certificate(Buffer.from(certificate, 'base64'))
    const until = validToDate.toISOString().slice(0, 10)
    const role = state === 'current' ? 'certificate' : 'next certificate'
    return [`| ${role} (signing and encryption), until ${until} | SHA-256 \`${fingerprint256}\` |`]
  })
  return rows.length > 0
    ? rows.join('\n')
    : '| certificate | made when the gateway first starts; print this again then, or take the metadata by its address |'
}
