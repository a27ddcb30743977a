import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'
import { link, mkdir, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Root } from './root.ts'

const FILE = 'root.secret'
const SECRET_BYTES = 32
/** First byte of everything sealed: another construction gets another number. */
const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * The root secret of `dir`: 32 random bytes in `root.secret` (base64url, one line), readable by its owner alone.
 * Several processes that start at once end with one secret.
 * @param options.create whether a missing secret is made; `refused` protects an installation whose folder was not mounted
 * @throws where the file is missing and may not be made, is readable by others, or is no root secret
 */
export async function openRoot(dir: string, options: { readonly create: 'allowed' | 'refused' }): Promise<Root> {
  const path = join(dir, FILE)
  const found = await readSecret(path)
  if (found) return rootOf(found)
  if (options.create === 'refused')
    throw new Error(
      `there is no root secret at ${path}: put the one of this installation there, or, where there never was one, ` +
        'set keys.create to true for the first start',
    )
  await createSecret(dir, path).catch((cause: unknown) => {
    throw new Error(`a root secret cannot be made at ${path}${refusal(cause, 'make it')}`, { cause })
  })
  const made = await readSecret(path)
  if (!made) throw new Error(`the root secret at ${path} vanished while it was read`)
  return rootOf(made)
}

async function readSecret(path: string): Promise<Buffer | undefined> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    if (isCode(cause, 'ENOENT')) return undefined
    throw new Error(`the root secret at ${path} cannot be read${refusal(cause, 'read it')}`, { cause })
  })
  if (!file) return undefined
  try {
    // Of the opened file, not of the path: nothing can be put in between.
    const { mode } = await file.stat()
    if ((mode & 0o077) !== 0)
      throw new Error(`the root secret at ${path} can be read by others than its owner: chmod 600 ${path}`)
    const text = (await file.readFile('utf8')).trim()
    const secret = Buffer.from(text, 'base64url')
    if (secret.length !== SECRET_BYTES || secret.toString('base64url') !== text)
      throw new Error(`${path} is no root secret (43 characters of base64url); restore it from your backup`)
    return secret
  } finally {
    await file.close()
  }
}

/** Written whole under another name and then linked: `link` fails where another process was first, and never shows half a file. */
async function createSecret(dir: string, path: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const draft = `${path}.${randomBytes(8).toString('hex')}`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(`${randomBytes(SECRET_BYTES).toString('base64url')}\n`)
    await file.sync()
    await link(draft, path)
  } catch (cause) {
    if (!isCode(cause, 'EEXIST')) throw cause
  } finally {
    await file.close()
    await unlink(draft)
  }
  const folder = await open(dir, 'r')
  await folder.sync().finally(() => folder.close())
}

/** Why the machine refused, and for whom to open it. */
function refusal(cause: unknown, deed: string): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  return isCode(cause, 'EACCES') ? `: no permission; let the user who runs this ${deed}` : `: ${code}`
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

function rootOf(secret: Buffer): Root {
  // HKDF-SHA256, RFC 5869; the purpose keeps one use's key from being another's.
  const derive = (purpose: string): Buffer => Buffer.from(hkdfSync('sha256', secret, 'lotse', purpose, 32))
  const key = createSecretKey(derive('seal'))
  return {
    derive: (purpose) => derive(`for:${purpose}`),
    seal: (plaintext, context) => seal(key, plaintext, context),
    open: (sealed, context) => unseal(key, sealed, context),
  }
}

/** Random 96-bit nonces are good for 2^32 texts under one key (NIST SP 800-38D, 8.3). */
function seal(key: KeyObject, plaintext: string, context: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(context))
  const body = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()])
  return Buffer.concat([Buffer.of(VERSION), nonce, body, cipher.getAuthTag()]).toString('base64url')
}

function unseal(key: KeyObject, sealed: string, context: string): string {
  const bytes = Buffer.from(sealed, 'base64url')
  const refused = 'not sealed with this root secret, changed, or sealed for another context'
  if (bytes.length < 1 + NONCE_BYTES + TAG_BYTES || bytes[0] !== VERSION) throw new Error(refused)
  // Node's decoder passes over foreign characters; two texts must not open as one.
  if (bytes.toString('base64url') !== sealed) throw new Error(refused)
  const nonce = bytes.subarray(1, 1 + NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(context))
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    const body = decipher.update(bytes.subarray(1 + NONCE_BYTES, -TAG_BYTES))
    return Buffer.concat([body, decipher.final()]).toString('utf8')
  } catch (cause) {
    throw new Error(refused, { cause })
  }
}
