import jsonld from 'jsonld'
import { LoginError } from '../../../core/errors.ts'
import type { Json } from '../credential.ts'
import { isObject, type JsonObject, jsonOf, listOf } from '../credentials/jws.ts'
import type { Deviations } from '../ports.ts'
import { printable, refusal } from '../refusal.ts'
import { w3cContexts } from './w3c-contexts.ts'

/** JSON-LD contexts by their addresses: nothing is fetched. */
export type Contexts = ReadonlyMap<string, Json>

/**
 * @param own JSON texts of contexts by their addresses, which the operator brings: Gaia-X's are under no licence that lets them be passed on
 * @throws {Error} where one is no JSON
 */
export function openContexts(own: Readonly<Record<string, string>>): Contexts {
  return new Map(
    Object.entries({ ...own, ...w3cContexts }).map(([url, text]) => {
      const context = jsonOf(text)
      if (!isObject(context) || !isObject(context['@context'])) throw new Error(`no JSON-LD context: ${url}`)
      // Gaia-X's are shapes with a context in front: of those the context alone counts.
      return [url, { '@context': context['@context'] }]
    }),
  )
}

/** What a document may say of JSON-LD itself. The others can put the same claims elsewhere in the JSON, from which they are read. */
const keywords: ReadonlySet<string> = new Set(['@context', '@id', '@type', '@value', '@language'])
/** Properties that are dropped because no context defines them, at most. */
const UNDEFINED = 16

/** A document as it was signed: its canonical form, and its JSON with nothing in it that the form does not cover. */
export interface Canonical {
  readonly quads: string
  readonly document: JsonObject
}

/**
 * The canonical form (RDFC-1.0) of a JSON-LD document. Its contexts are known ones, by their addresses: one that is written into the document
 * could call any claim by the name of another. What no context defines is not part of the form, and never read.
 * @throws {LoginError} `upstream_rejected`
 */
export async function canonical(given: JsonObject, contexts: Contexts, deviations: Deviations): Promise<Canonical> {
  checkForm(given, contexts)
  let document = given
  for (let dropped = 0; dropped <= UNDEFINED; dropped += 1) {
    const result = await quadsOf(document, contexts)
    if (typeof result === 'string') return { quads: result, document }
    deviations.take('undefined-terms')
    document = without(document, result.undefined) as JsonObject // an object stays one
  }
  throw refusal('a document has too many properties that no context defines')
}

function checkForm(value: Json, contexts: Contexts): void {
  if (Array.isArray(value)) {
    for (const each of value as readonly Json[]) checkForm(each, contexts)
    return
  }
  if (!isObject(value)) return
  for (const [name, each] of Object.entries(value)) {
    if (name.startsWith('@') && !keywords.has(name)) throw refusal(`a document uses ${printable(name, 40)} of JSON-LD`)
    if (name !== '@context') checkForm(each, contexts)
    else
      for (const context of listOf(each)) {
        if (typeof context !== 'string')
          throw refusal('a document brings a context of its own, which could rename claims')
        if (!contexts.has(context))
          throw refusal(`a document has a context that is not known here: ${printable(context)}`)
      }
  }
}

/** Its quads, or the name of a property that would not be in them. */
async function quadsOf(document: JsonObject, contexts: Contexts): Promise<string | { readonly undefined: string }> {
  const documentLoader = async (url: string) => {
    const known = contexts.get(url)
    if (known === undefined) throw refusal(`a context is not known here: ${printable(url)}`)
    return { document: known, documentUrl: url }
  }
  try {
    const options = { algorithm: 'RDFC-1.0', format: 'application/n-quads', safe: true, documentLoader } as const
    return await jsonld.canonize(document, { ...options, maxWorkFactor: 1 })
  } catch (error) {
    const name = droppedBy(error)
    if (name !== undefined) return { undefined: name }
    throw error instanceof LoginError ? error : refusal('a document is no JSON-LD that is read here', error)
  }
}

/** The name of the property for which safe mode refused; undefined where it refused for anything else. */
function droppedBy(error: unknown): string | undefined {
  const { details } = error as { details?: { event?: { code?: unknown; details?: { property?: unknown } } } }
  const property = details?.event?.code === 'invalid property' ? details.event.details?.property : undefined
  return typeof property === 'string' ? property : undefined
}

function without(value: Json, name: string): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((each) => without(each, name))
  if (!isObject(value)) return value
  const kept = Object.entries(value).filter(([each]) => each !== name)
  return Object.fromEntries(kept.map(([each, inner]) => [each, each === '@context' ? inner : without(inner, name)]))
}
