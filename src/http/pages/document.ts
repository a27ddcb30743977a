import { writeFileSync } from 'node:fs'
import { errorCodes, statusOf } from '../../core/errors.ts'
import { texts } from './texts.ts'

/** Where the page stands, from the root of the project. */
export const errorsDocument = new URL('../../../docs/errors.md', import.meta.url)

/** docs/errors.md: every code with its status and its texts, from the tables that the pages use. */
export function describeErrors(): string {
  const sections = errorCodes.map((code) => {
    const { en, de } = { en: texts.en.errors[code], de: texts.de.errors[code] }
    return [
      `## ${code}`,
      `HTTP ${statusOf(code)}`,
      `**${en.title}.** ${en.what} *${en.todo}*`,
      `**${de.title}.** ${de.what} *${de.todo}*`,
    ].join('\n\n')
  })
  return `${[intro, overview(), ...sections].join('\n\n')}\n`
}

const intro = `# Errors

<!-- Written by src/http/pages/document.ts: run \`npx node src/http/pages/document.ts\` after a change of the texts. -->

What people read when a sign-in or a request fails, by the code that stands in log and audit event. Every error page shows a
reference; log and audit have the same one as error id, with the cause that the page keeps to itself.`

function overview(): string {
  const rows = errorCodes.map((code) => `| [${code}](#${code}) | ${statusOf(code)} | ${texts.en.errors[code].title} |`)
  return ['| code | HTTP | title |', '|---|---|---|', ...rows].join('\n')
}

if (import.meta.main) writeFileSync(errorsDocument, describeErrors())
