import { writeFileSync } from 'node:fs'
import { type ErrorCode, errorCodes, statusOf } from '../../core/errors.ts'
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
      `For the operator: ${forOperators[code]}`,
    ].join('\n\n')
  })
  return `${[intro, overview(), ...sections].join('\n\n')}\n`
}

const intro = `# Errors

<!-- Written by src/http/pages/document.ts: run \`npx node src/http/pages/document.ts\` after a change of the texts. -->

What people read when a sign-in or a request fails, by the code that stands in log and audit event, and what the operator does
about it. Every error page shows a reference; log and audit have the same one as \`id\`, with the cause that the page keeps to itself.`

/** What to look at first; more is in the log line. */
const forOperators: Readonly<Record<ErrorCode, string>> = {
  upstream_rejected:
    'the log says which check failed, or what the upstream answered: [OpenID](guides/oidc-upstreams.md#when-the-upstream-fails), [SAML](guides/saml.md#somebody-is-refused), [wallets](guides/wallet.md#when-somebody-is-refused).',
  upstream_unavailable: '`lotse check --live CONNECTOR` asks it from here and says what does not answer.',
  upstream_declined:
    'nothing, unless it is everybody: then the upstream asks for a consent, or a right, that people do not give.',
  credential_revoked: 'nothing, unless it is everybody of one issuer: then its status list says so.',
  acr_not_met:
    'the log has what was asked for and what came. The option `acr` of the connector translates; [assurance](guides/rules.md#11-assurance).',
  nothing_granted: '`lotse explain` with the claims that her page shows says of each rule why it gave nothing.',
  forbidden: '`because` in the audit line names the rule and its reason.',
  claims_unusable: 'the log names the claim: let the upstream send it, or name another in `subjectClaim` or `subject`.',
  grants_too_large:
    'the log names the target and the size. Let the rules give less there, or groups in the place of projects.',
  login_expired:
    'nothing, unless it is everybody: then cookies do not come back, because people reach the gateway by another address than `issuer`, or a proxy changes them.',
  wrong_browser: 'the same; else somebody passed on the link of a sign-in, and was stopped.',
  unknown_connector: 'a link or a client names a connector that the configuration does not have.',
  not_found: 'a link to the gateway is wrong; the log has the path.',
  method_not_allowed: 'a client, or a form, is wrong; the log has method and path.',
  bad_request:
    'the log has `error_description` and the client: mostly a client that is not configured, or a redirect URI that is not among its `redirectUris`, character for character.',
  too_large: 'nothing people send is so large; an answer of an upstream may be, where it sends very many groups.',
  too_many_attempts:
    'somebody guesses codes; or all people share one address, because `trustedProxies` does not name the proxy in front.',
  unavailable: 'the store, or the audit log: [when something is down](guides/operations.md#when-something-is-down).',
  internal: 'the log has the place in the program. Please report it.',
}

function overview(): string {
  const rows = errorCodes.map((code) => `| [${code}](#${code}) | ${statusOf(code)} | ${texts.en.errors[code].title} |`)
  return ['| code | HTTP | title |', '|---|---|---|', ...rows].join('\n')
}

if (import.meta.main) writeFileSync(errorsDocument, describeErrors())
