import type { Credential, Evidence } from './credential.ts'
import { type Found, isOfType, type Query, unmetClaim, unmetSet } from './dcql.ts'

/** What a proof keeps, sealed, of a presentation: enough to judge it again, and nothing by which it could be presented again. */
interface Kept {
  readonly id: string
  readonly credential: Evidence
}

/** The credentials that a wallet brought, as a text: of an answer that was accepted each counted. What the operator brought is read from there again. */
export function keep(found: readonly Found[]): string {
  return JSON.stringify(found.map(({ asked, credential }): Kept => ({ id: asked.id, credential })))
}

/** The same again; undefined where the configuration asks for something else by now, so that nobody would get in by them. */
export function kept(config: Query, text: string): readonly Found[] | undefined {
  const found = (JSON.parse(text) as readonly Kept[]).map(({ id, credential }) => ({
    asked: config.credentials.find((each) => each.id === id),
    credential: credential as Credential,
  }))
  if (!found.every((each): each is Found => each.asked !== undefined)) return undefined
  const met = found.every(({ asked, credential }) => isOfType(asked, credential) && !unmetClaim(asked, credential))
  const ids = found.map(({ asked }) => asked.id)
  return met && !unmetSet(config, ids) ? found : undefined
}
