import { createReadStream, existsSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { openRoot } from '../keys/root-secret.ts'
import { FORM, headOf, linesOf, type Mover, piecesOf } from '../store/move.ts'
import { StoreUnavailable } from '../store/store.ts'
import { readConfig } from './beside.ts'
import { type Args, configPath, type Io } from './command.ts'
import { openMover } from './open-store.ts'
import { count } from './table.ts'

/** Bytes that are written at once. */
const PORTION = 65_536

interface Opened {
  readonly mover: Mover
  /** By which a file is known to be of the same root secret. */
  readonly root: string
}

/** @param use `read`: what is not there is not made */
async function opened(args: Args, io: Io, use: 'read' | 'fill'): Promise<Opened> {
  const config = await readConfig(resolve(io.cwd, configPath(args, io)), io, ['store', 'keys'])
  if (use === 'read' && config.store.kind === 'embedded' && !existsSync(config.store.path))
    throw new StoreUnavailable(`there is no store at ${config.store.path}`)
  const root = await openRoot(config.keys.dir, { create: 'refused' })
  const mover = await openMover(config.store, { root: async () => root, now: io.now })
  return { mover, root: root.derive('store:export').subarray(0, 12).toString('base64url') }
}

/**
 * Writes all of the store that the configuration names to a file.
 * @returns what was done, for people
 * @throws {StoreUnavailable} where the store or the file cannot be used, or a gateway serves from the store
 */
export async function exportStore(args: Args, io: Io, to: string): Promise<string> {
  if (existsSync(to)) throw new StoreUnavailable(`${to} is there already; name a new file`)
  const { mover, root } = await opened(args, io, 'read')
  const part = `${to}.part`
  try {
    await rm(part, { force: true }) // of an export that was killed
    const written = await write(part, linesOf({ lotseStore: FORM, root, at: io.now() }, mover.pieces()))
    await rename(part, to)
    return `${count(written - 2, 'piece')} of the store written to ${to}`
  } catch (error) {
    await rm(part, { force: true })
    throw error
  } finally {
    await mover.close()
  }
}

/** @returns how many lines */
async function write(path: string, lines: AsyncIterable<string>): Promise<number> {
  const file = await open(path, 'wx', 0o600)
  try {
    let [number, portion] = [0, '']
    for await (const line of lines) {
      number++
      portion += `${line}\n`
      if (portion.length < PORTION) continue
      await file.writeFile(portion)
      portion = ''
    }
    await file.writeFile(portion)
    await file.sync()
    return number
  } finally {
    await file.close()
  }
}

/**
 * Fills the store that the configuration names, which has to be empty, from a file of `exportStore`: with all of it, or nothing.
 * @returns what was done, for people
 * @throws {StoreUnavailable} where the file is damaged or of another root secret, or the store cannot be used
 */
export async function importStore(args: Args, io: Io, from: string): Promise<string> {
  if (!existsSync(from)) throw new StoreUnavailable(`there is no file ${from}`)
  const { mover, root } = await opened(args, io, 'fill')
  try {
    const lines = () => createInterface({ input: createReadStream(from, 'utf8'), crlfDelay: Infinity })
    const first = await lines()[Symbol.asyncIterator]().next()
    headOf(first.value, root)
    let pieces = 0
    await mover.fill(async function* () {
      pieces = 0
      for await (const piece of piecesOf(lines())) {
        pieces++
        yield piece
      }
    })
    return `${count(pieces, 'piece')} taken in from ${from}`
  } finally {
    await mover.close()
  }
}
