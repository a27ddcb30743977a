import type { Credential, Evidence } from './credential.ts'
import type { Found } from './dcql.ts'
import type { WalletConfig } from './options.ts'

/** What a proof keeps, sealed, of a presentation: enough to judge it again, and nothing by which it could be presented again. */
interface Kept {
  readonly id: string
  readonly credential: Evidence
}

/** The credentials that a wallet brought, as a text: of an answer that was accepted each counted. What the operator brought is read from there again. */
export function keep(found: readonly Found[]): string {
  return JSON.stringify(found.map(({ asked, credential }): Kept => ({ id: asked.id, credential })))
}

/** The same again; undefined where the configuration asks for one of them no longer, so that nothing can be said of it. */
export function kept({ credentials }: Pick<WalletConfig, 'credentials'>, text: string): readonly Found[] | undefined {
  const found = (JSON.parse(text) as readonly Kept[]).map(({ id, credential }) => ({
    asked: credentials.find((each) => each.id === id),
    credential: credential as Credential,
  }))
  return found.every((each): each is Found => each.asked !== undefined) ? found : undefined
}
