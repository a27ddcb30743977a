import { createPrivateKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { output } from '../upstreams/server.ts'

/** A key with a certificate of an authority's. */
export interface Certified {
  /** PEM texts. */
  readonly key: string
  readonly certificate: string
  readonly jwk: JsonWebKey
  /** For `x5c`: base64 of DER. */
  readonly der: string
}

/** A certification authority by OpenSSL: its root, and what it certifies. */
export interface Authority {
  /** PEM. */
  readonly root: string
  certify(name: string): Promise<Certified>
  close(): Promise<void>
}

/** @param days for which its certificates are good */
export async function openAuthority(subject: string, days = 30): Promise<Authority> {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-authority-'))
  const openssl = (...args: readonly string[]) => output({ command: 'openssl', args, cwd: folder }, 30)
  const keyed = async (name: string) => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await writeFile(join(folder, `${name}.key`), privateKey.export({ type: 'pkcs8', format: 'pem' }))
  }
  await keyed('root')
  const about = ['-subj', `/CN=${subject}`, '-days', String(days), '-addext', 'keyUsage=critical,keyCertSign,cRLSign']
  await openssl('req', '-x509', '-new', '-key', 'root.key', '-out', 'root.pem', ...about)
  return {
    root: await readFile(join(folder, 'root.pem'), 'utf8'),
    async certify(name) {
      await keyed(name)
      const extensions = [
        'basicConstraints=critical,CA:FALSE',
        'keyUsage=critical,digitalSignature',
        `subjectAltName=DNS:${name},URI:https://${name}`,
        'subjectKeyIdentifier=hash',
        'authorityKeyIdentifier=keyid',
      ]
      await writeFile(join(folder, `${name}.ext`), extensions.join('\n'))
      await openssl('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${name}`, '-out', `${name}.csr`)
      const by = ['-CA', 'root.pem', '-CAkey', 'root.key', '-CAcreateserial', '-days', String(days)]
      await openssl('x509', '-req', '-in', `${name}.csr`, '-extfile', `${name}.ext`, '-out', `${name}.pem`, ...by)
      const read = (file: string) => readFile(join(folder, file), 'utf8')
      const [key, certificate] = [await read(`${name}.key`), await read(`${name}.pem`)]
      const der = certificate.replace(/-----[A-Z ]+-----|\s/g, '')
      return { key, certificate, jwk: createPrivateKey(key).export({ format: 'jwk' }), der }
    },
    close: () => rm(folder, { recursive: true }),
  }
}
