import { hash } from 'node:crypto'
import { LoginError } from '../../../core/errors.ts'
import type { ConnectorPorts } from '../../connector.ts'
import type { Idp } from '../idp.ts'
import type { MetadataSource } from '../options.ts'
import { indexOf } from './index-of.ts'
import { completed } from './newest.ts'
import { type Only, openParser } from './parse.ts'
import type { SourceSetting } from './source.ts'
import { pauseFor } from './time.ts'
import { refused } from './xml.ts'

/** A metadata query server: asked for one entity at a time, when that is needed. */
export interface Query {
  readonly name: string
  /** @throws {LoginError} `upstream_unavailable` where it cannot be asked and nothing good is known */
  find(entityId: string): Promise<Idp | undefined>
  /** Has an entity be asked for at the next `find`, whatever its answer wished. */
  age(entityId: string): void
  /** Entities that are known at this moment. */
  readonly size: () => number
}

/** Bytes of one entity. */
const MOST = 1024 * 1024
/** UTF-16 units of an entityID. */
const LONGEST = 1024
/** Entities that are remembered; anybody may ask for one that does not exist, and pushes out the one that was asked for longest ago. */
const REMEMBERED = 1000
/** Requests at once; whoever comes with more is told to come again. */
const AT_ONCE = 20
/** Seconds before an entity is asked for again that is not there, and after a failure. */
const ABSENT = 300
const FAILED = 60

interface Answer {
  readonly idp?: Idp
  /** Unix seconds at which to ask again, and at which it is of no use any more. */
  readonly freshUntil: number
  readonly goodUntil: number
}

/**
 * Asks a metadata query server by the identifier's URL encoding. Each answer is signed by the configured certificate and must be about
 * the entity that was asked for; it is remembered as long as it wishes, and used until its end where the server does not answer.
 * @see draft-young-md-query-saml
 */
export function openQuery(
  { mdq, certificate }: Extract<MetadataSource, { readonly mdq: string }>,
  { connector, only }: SourceSetting,
  ports: ConnectorPorts,
): Query {
  const answers = new Map<string, Answer>()
  const running = new Map<string, Promise<Answer>>()
  const base = mdq.endsWith('/') ? mdq : `${mdq}/`
  const shelf = openAnswerShelf(ports, JSON.stringify([mdq, certificate, only]))

  const remember = (entityId: string, answer: Answer) => {
    answers.delete(entityId)
    answers.set(entityId, answer)
    const oldest = answers.keys().next().value
    if (answers.size > REMEMBERED && oldest !== undefined) answers.delete(oldest)
    return answer
  }

  const ask = async (entityId: string): Promise<Answer> => {
    const before = answers.get(entityId) ?? (await shelf.load(entityId))
    if (before && before.freshUntil > ports.now()) return remember(entityId, before)
    try {
      const url = `${base}entities/${encodeURIComponent(entityId)}`
      const answer = await askOnce(url, { entityId, certificate, only }, ports)
      await shelf.save(entityId, answer)
      return remember(entityId, answer)
    } catch (error) {
      const fails = { connector, source: mdq, entityId, error: (error as Error).message }
      if (!before || before.goodUntil <= ports.now()) throw error
      ports.log('warn', 'metadata could not be asked for; what is known stays', fails)
      return remember(entityId, { ...before, freshUntil: ports.now() + FAILED })
    }
  }

  return {
    name: mdq,
    size: () => [...answers.values()].filter(({ idp, goodUntil }) => idp && goodUntil > ports.now()).length,
    age(entityId) {
      const known = answers.get(entityId)
      if (known?.idp) answers.set(entityId, { ...known, freshUntil: Number.NEGATIVE_INFINITY })
    },
    async find(entityId) {
      // What no filter would take, and what nobody can be called (SAML core 8.3.6), is not asked for.
      if (entityId.length > LONGEST || (only.entities && !only.entities.includes(entityId))) return undefined
      const known = answers.get(entityId)
      if (known && known.freshUntil > ports.now()) return known.idp
      if (!running.has(entityId)) {
        if (running.size >= AT_ONCE) throw new LoginError('upstream_unavailable', 'too many entities are asked for')
        running.set(
          entityId,
          ask(entityId).finally(() => running.delete(entityId)),
        )
      }
      const { idp } = await running.get(entityId)!
      return idp
    },
  }
}

interface Asked {
  readonly entityId: string
  readonly certificate: string
  readonly only: Only
}

function unreachable(error: Error): never {
  throw new LoginError('upstream_unavailable', error.message, { cause: error })
}

async function askOnce(url: string, { entityId, certificate, only }: Asked, ports: ConnectorPorts): Promise<Answer> {
  const now = ports.now()
  const filter = { ...only, entities: [entityId] }
  const parser = openParser({ certificates: [certificate], only: filter, most: MOST, now })
  const headers = { accept: 'application/samlmetadata+xml' }
  // As any answer of an upstream: in seconds, or not at all. Somebody waits for it, and others for her place.
  const response = await ports.fetch(url, { headers }).catch(unreachable)
  // Not there is an answer that nobody has signed: it lets nobody in.
  if (response.status === 404) return { freshUntil: now + ABSENT, goodUntil: now + ABSENT }
  if (response.status !== 200)
    throw new LoginError('upstream_unavailable', `the metadata query answered with status ${response.status}`)
  parser.write(new Uint8Array(await response.arrayBuffer().catch(unreachable)))
  const { blocks, validUntil, cacheDuration } = parser.end()
  // Without an end an old answer, with keys that were stolen since, could be played back for ever.
  if (validUntil === undefined) throw refused('an answer to a query needs a validUntil')
  const idp = (await indexOf(completed(blocks, []))).first()
  const freshUntil = Math.min(now + pauseFor(cacheDuration), validUntil)
  return {
    ...(idp ? { idp: { ...idp, validUntil: Math.min(validUntil, idp.validUntil ?? validUntil) } } : {}),
    freshUntil,
    goodUntil: validUntil,
  }
}

/** Answers that outlive the process, sealed: keys that prove people are read from them. */
function openAnswerShelf({ kept, seal, open, now, log }: ConnectorPorts, source: string) {
  const nameOf = (entityId: string) => hash('sha256', `${source}\n${entityId}`, 'base64url')
  const context = (entityId: string) => `saml metadata ${nameOf(entityId)}`
  return {
    async load(entityId: string): Promise<Answer | undefined> {
      try {
        const sealed = await kept.get(nameOf(entityId))
        return sealed === undefined ? undefined : (JSON.parse(open(sealed, context(entityId))) as Answer)
      } catch (error) {
        log('warn', 'kept metadata cannot be read', { source, error: (error as Error).message })
        return undefined
      }
    },
    async save(entityId: string, answer: Answer): Promise<void> {
      if (!answer.idp) return
      try {
        const seconds = Math.max(1, answer.goodUntil - now())
        await kept.put(nameOf(entityId), seal(JSON.stringify(answer), context(entityId)), seconds)
      } catch (error) {
        log('warn', 'metadata cannot be kept', { source, error: (error as Error).message })
      }
    },
  }
}
