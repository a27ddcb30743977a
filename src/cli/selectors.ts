import { accountId } from '../core/subject.ts'
import type { Selector } from '../lifecycle/end.ts'
import { type Args, type Option, UsageError } from './command.ts'

/** What a command may be about, each by the option that names it. */
export const selectorOptions = {
  subject: { value: 'SUB', help: "a person, by the gateway's sub or as CONNECTOR/ID, the id at the upstream" },
  session: { value: 'UID', help: 'a session of one browser, by its uid' },
  proof: { value: 'ID', help: 'one sign-in, by the id of its proof' },
  connector: { value: 'ID', help: 'everybody who signed in by this connector' },
  client: { value: 'ID', help: 'the tokens that this client holds; people stay signed in' },
  key: { value: 'KID', help: 'a signing key, and what the clients hold for whom it signs' },
} as const satisfies Record<string, Option>

export type SelectorName = keyof typeof selectorOptions

/** The one selector of a command line. */
export interface Chosen {
  readonly by: SelectorName
  readonly text: string
}

/** @throws {UsageError} where none of the selectors or more than one was given, or a word stands alone */
export function chosen(args: Args, allowed: readonly SelectorName[]): Chosen {
  const given = allowed.flatMap((by) => {
    const text = args.text(by)
    return text === undefined ? [] : [{ by, text }]
  })
  const [one, ...more] = given
  const options = allowed.map((by) => `--${by}`).join(', ')
  if (args.words.length > 0)
    throw new UsageError(`${JSON.stringify(args.words[0])} is too much; write one of ${options}`)
  if (!one) throw new UsageError(`say what is meant, by one of ${options}`)
  if (more.length > 0) throw new UsageError(`--${one.by} and --${more[0]?.by} at once: one selector at a time`)
  if (one.text === '') throw new UsageError(`--${one.by} is empty`)
  return one
}

/** @throws {UsageError} where the text of a person is neither a sub nor CONNECTOR/ID */
export function selectorOf({
  by,
  text,
}: {
  readonly by: Exclude<SelectorName, 'key'>
  readonly text: string
}): Selector {
  switch (by) {
    case 'subject':
      return { kind: 'subject', sub: subOf(text) }
    case 'session':
      return { kind: 'session', uid: text }
    case 'proof':
    case 'connector':
    case 'client':
      return { kind: by, id: text }
  }
}

/** A sub has no slash, and a connector's id neither; an upstream's id may have many. */
function subOf(text: string): string {
  const slash = text.indexOf('/')
  if (slash > 0 && slash < text.length - 1)
    return accountId({ connector: text.slice(0, slash), id: text.slice(slash + 1) })
  if (/^[\w-]{43}$/.test(text)) return text
  throw new UsageError(
    `--subject ${JSON.stringify(text)} is no person; write a sub (43 characters) or CONNECTOR/ID, the id at the upstream`,
  )
}
