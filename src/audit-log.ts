import { writeSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Audit, AuditEvent, Personal } from './audit.ts'
import type { Grant, RuleOutcome } from './core/decision.ts'
import type { Clock } from './core/ports.ts'

type AllKeys<T> = T extends unknown ? keyof T : never
type FieldsOf<E extends AuditEvent['event']> = Exclude<AllKeys<Extract<AuditEvent, { event: E }>>, 'event'>

/** Every field that each event may carry; the compiler refuses a missing and a superfluous one. */
const fields: { readonly [E in AuditEvent['event']]: Readonly<Record<FieldsOf<E>, true>> } = {
  'login.success': { client: true, connector: true, session: true, because: true, personal: true },
  'login.refused': { client: true, connector: true, code: true, because: true, personal: true },
  'break-glass': { client: true, connector: true, because: true, personal: true },
  'token.issued': {
    client: true,
    grantType: true,
    target: true,
    jti: true,
    kinds: true,
    until: true,
    personal: true,
  },
  'token.refused': { client: true, grantType: true, code: true, personal: true },
  'token.revoked': { client: true, jti: true, personal: true },
  'family.revoked': { client: true, cause: true, personal: true },
  'session.ended': {
    connector: true,
    signIn: true,
    client: true,
    clients: true,
    cause: true,
    why: true,
    personal: true,
  },
  'device.confirmed': { client: true, personal: true },
  'device.declined': { client: true, personal: true },
  'lease.given': { target: true, leases: true, personal: true },
  'lease.taken': { target: true, leases: true, personal: true },
  'account.locked': { target: true, personal: true },
  'account.unlocked': { target: true, personal: true },
  'reconcile.held': { target: true, accounts: true },
  'binding.made': { target: true, bindings: true },
  'binding.removed': { target: true, bindings: true },
  'binding.held': { target: true, count: true },
  'key.rotated': { ring: true, alg: true, kid: true, how: true },
  'key.imported': { ring: true, alg: true, kid: true },
  'config.loaded': { digest: true, tenantsDisabled: true },
  'config.refused': { problems: true },
  'process.started': { version: true },
  'process.stopped': {},
}

const personal: Readonly<Record<keyof Personal, true>> = {
  sub: true,
  upstreamId: true,
  username: true,
  address: true,
  userAgent: true,
}
const outcome: Readonly<Record<keyof RuleOutcome, true>> = {
  rule: true,
  tenant: true,
  effect: true,
  grants: true,
  because: true,
  targets: true,
}
const grant: Readonly<Record<AllKeys<Grant>, true>> = {
  target: true,
  project: true,
  domain: true,
  namespace: true,
  cluster: true,
  group: true,
  roles: true,
}
const everywhere = ['v', 'time', 'id', 'event', ...[personal, outcome, grant].flatMap((table) => Object.keys(table))]
const allowed = new Map(
  Object.entries(fields).map(([event, own]) => [event, new Set([...everywhere, ...Object.keys(own)])]),
)
/** Characters of one text: enough for every id and name that is accepted elsewhere; a client's own words may be longer. */
const LONGEST = 1024

/**
 * One audit line with its newline. Fields that are not on the closed list are left out at every depth, so an object with
 * more in it than its type says brings nothing along; control characters, also C1, are escaped, so no line forges another.
 */
function line(time: number, id: string, event: AuditEvent): string {
  const known = allowed.get(event.event)
  const record = { v: 1, time: new Date(time * 1000).toISOString(), id, ...event }
  const json = JSON.stringify(record, function (this: unknown, key, value: unknown) {
    if (key !== '' && !Array.isArray(this) && !known?.has(key)) return undefined
    return typeof value === 'string' ? value.slice(0, LONGEST) : value
  })
  return `${json.replace(/[\u007f-\u009f\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`
}

interface Waiting {
  readonly text: string
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

interface Sink {
  write(text: string): Promise<void>
  /** Opens anew; what it returns closes the old file, once no write to it is under way. */
  reopen(): Promise<() => Promise<void>>
  close(): Promise<void>
}

/** To the page cache at once: 10 µs, where a round trip over the thread pool takes 130. Only a pipe or device may make wait. */
async function append(file: FileHandle): Promise<Sink['write']> {
  if (!(await file.stat()).isFile()) return (text) => file.appendFile(text)
  return async (text) => {
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; ) at += writeSync(file.fd, bytes, at)
  }
}

async function fileSink(path: string): Promise<Sink> {
  const openFile = () => open(path, 'a', 0o600)
  let file: FileHandle = await openFile()
  let write = await append(file)
  return {
    write: (text) => write(text),
    async reopen() {
      const old = file
      const next = await openFile()
      write = await append(next)
      file = next
      return () => old.close()
    },
    close: () => file.close(),
  }
}

function streamSink(write: ((text: string) => Promise<void>) | undefined): Sink {
  if (write === undefined) throw new TypeError("openAudit: path '-' needs `write`")
  const nothing = async () => {}
  return { write, reopen: async () => nothing, close: nothing }
}

/** One write at a time; whatever arrives during an event-loop turn or a running write goes out together. */
function batched(sink: Sink) {
  let waiting: Waiting[] = []
  let running: Promise<void> | undefined
  let writing: Promise<void> | undefined
  let torn = false

  async function writeBatch(): Promise<void> {
    const batch = waiting
    waiting = []
    try {
      await sink.write(`${torn ? '\n' : ''}${batch.map((entry) => entry.text).join('')}`)
      torn = false
      for (const entry of batch) entry.done()
    } catch (error) {
      torn = true // a part may stand in the file: the next line begins on a line of its own
      for (const entry of batch) entry.failed(error)
    }
  }
  async function drain(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    while (waiting.length > 0) {
      writing = writeBatch()
      await writing
    }
    running = undefined
  }
  return {
    add(text: string): Promise<void> {
      return new Promise((done, failed) => {
        waiting.push({ text, done, failed })
        running ??= drain()
      })
    },
    /** The write that is under way now has ended. */
    written: async () => writing,
    /** Everything that was taken has been written. */
    idle: async () => running,
  }
}

/** An open audit log. */
export interface AuditLog {
  readonly audit: Audit
  /** Opens the path again, after a rotation. @throws where it cannot be opened; the old file stays in use */
  reopen(): Promise<void>
  /** Writes what is waiting and closes; each later event is refused. */
  close(): Promise<void>
}

/**
 * Opens the audit log: a file that is appended to (0600 where it is made), or for `-` whatever `write` leads to.
 * An event resolves once its line was handed to the operating system (no fsync), and rejects where that failed.
 * @throws where the file cannot be opened
 */
export async function openAudit(options: {
  readonly path: string
  readonly now: Clock
  /** For path `-`: resolves when the text was handed on. */
  readonly write?: (text: string) => Promise<void>
}): Promise<AuditLog> {
  const sink = options.path === '-' ? streamSink(options.write) : await fileSink(options.path)
  const queue = batched(sink)
  let closed = false
  return {
    async audit(id, event) {
      if (closed) throw new Error('the audit log is closed')
      await queue.add(line(options.now(), id, event))
    },
    async reopen() {
      const closeOld = await sink.reopen()
      await queue.written()
      await closeOld()
    },
    async close() {
      if (closed) return
      closed = true
      await queue.idle()
      await sink.close()
    },
  }
}
