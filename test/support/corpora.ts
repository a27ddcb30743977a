import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Options for a test that reads test data from outside: skipped, and counted in the last line, where it is not there. */
export interface Corpus {
  readonly path: string
  readonly skip: string | false
}

/**
 * A folder or file below LOTSE_CORPORA, and whether it is there: `test(name, corpus('jose'), …)`.
 */
export function corpus(...names: readonly string[]): Corpus {
  const top = process.env['LOTSE_CORPORA']
  const path = join(top ?? '', ...names)
  return { path, skip: top === undefined || !existsSync(path) ? `LOTSE_CORPORA has no ${names.join('/')}` : false }
}
