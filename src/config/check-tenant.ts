import { isIP } from 'node:net'
import type { Mistake } from './check-clients.ts'
import type { MainFile, TenantAllowance, TenantFile } from './compose.ts'
import { isLoopback } from './fields.ts'
import type { ConnectorConfig } from './gateway.ts'
import type { Path } from './problem.ts'

const say = (path: Path, message: string): Mistake => ({ path, message })

/** Seconds: what `maxProofAge` is where nobody says anything. */
const HALF_A_DAY = 43_200

/** A template of the main file for this tenant; the id is a literal, never syntax (law 16). */
const filled = (template: string, tenant: string) => template.replaceAll('<tenant.id>', () => tenant)

/** Whether a text fits one of the patterns, in which `*` stands for any text. */
function fitsOne(text: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    const [head = '', ...rest] = pattern.split('*')
    if (rest.length === 0) return text === head
    const tail = rest.pop() ?? ''
    if (!text.startsWith(head) || text.length < head.length + tail.length || !text.endsWith(tail)) return false
    const middle = text.slice(head.length, text.length - tail.length)
    let at = 0
    return rest.every((part) => {
      const found = middle.indexOf(part, at)
      at = found + part.length
      return found >= 0
    })
  })
}

/** What of the main file holds for all tenants. */
type Main = Pick<MainFile, 'brand' | 'connectors' | 'sessions'>

/** Where a tenant's file reaches beyond what the main file gives it (laws 6 and 15). */
export function tenantMistakes(
  tenant: string,
  file: TenantFile,
  allowed: TenantAllowance,
  main: Main,
): readonly Mistake[] {
  return file.connectors.flatMap((connector, index) =>
    [
      ...connectorMistakes(tenant, connector, allowed),
      ...labelMistakes(connector, main),
      ...timeMistakes(connector, main),
    ].map(({ path, message }) => say(['connectors', index, ...path], message)),
  )
}

/** A text as people read it: they see neither case nor the form of a letter. */
const read = (text: string) => text.normalize('NFKC').replace(/\s+/g, ' ').trim().toLowerCase()

/** Who reads the operator's name on the chooser page is to come to the operator. */
function labelMistakes({ label, hint = '' }: ConnectorConfig, { brand, connectors }: Main): readonly Mistake[] {
  const taken = new Set([brand.name, ...connectors.map((one) => one.label)].map(read))
  const texts = { label, hint }
  return (['label', 'hint'] as const).flatMap((key) =>
    taken.has(read(texts[key]))
      ? [say([key], 'the name of the cloud, or of another upstream of it; write another')]
      : [],
  )
}

/** The operator's limits hold for everybody: a customer shortens them for its own people. */
function timeMistakes(connector: ConnectorConfig, { sessions }: Main): readonly Mistake[] {
  const { sessionIdle, sessionMax, maxProofAge } = connector
  const answers = Math.max(sessions.max, sessions.refresh, HALF_A_DAY)
  const tooLong = (key: string, value: number | undefined, most: number, whose: string) =>
    value !== undefined && value > most
      ? [say([key], `longer than ${whose} of the main file; write a shorter time`)]
      : []
  return [
    ...tooLong('sessionIdle', sessionIdle, sessions.idle, 'sessions.idle'),
    ...tooLong('sessionMax', sessionMax, sessions.max, 'sessions.max'),
    ...tooLong('maxProofAge', maxProofAge, answers, 'sessions.max and sessions.refresh'),
  ]
}

function connectorMistakes(tenant: string, connector: ConnectorConfig, allowed: TenantAllowance): readonly Mistake[] {
  const domains = allowed.domains.map((domain) => filled(domain, tenant))
  const emailDomains = allowed.emailDomains.map((domain) => filled(domain, tenant))
  const list = (values: readonly string[]) => values.join(', ') || 'none'
  const mistakes = [
    !allowed.connectorTypes.includes(connector.type) &&
      say(['type'], `not among what the main file allows this tenant: ${list(allowed.connectorTypes)}`),
    connector.id !== tenant &&
      !connector.id.startsWith(`${tenant}.`) &&
      say(['id'], `outside this tenant's names; write ${tenant} or ${tenant}.<name>`),
    connector.domain !== undefined &&
      !fitsOne(connector.domain, domains) &&
      say(['domain'], `not a domain of this tenant; write one of: ${list(domains)}`),
    ...connector.emailDomains.map(
      (domain, index) =>
        !emailDomains.includes(domain) &&
        say(['emailDomains', index], `not an e-mail domain of this tenant; write one of: ${list(emailDomains)}`),
    ),
    ...spaceMistakes(connector, emailDomains),
    ...addressMistakes(connector),
  ]
  return mistakes.filter((mistake) => typeof mistake === 'object')
}

/**
 * A connector's people are called by names that begin with its id, or end with an e-mail domain of its tenant. A suffix alone makes no
 * prefix its own: names that begin with another tenant's are that tenant's, which would be the one to be disabled for it.
 */
function spaceMistakes({ id, identity }: ConnectorConfig, emailDomains: readonly string[]) {
  const { prefix, suffix, groupPrefix } = identity
  const own = (text: string) => text.startsWith(`${id}:`)
  const suffixes = emailDomains.map((domain) => `@${domain}`)
  return [
    prefix !== undefined &&
      !own(prefix) &&
      !(prefix === '' && suffix !== undefined && suffixes.includes(suffix)) &&
      say(['identity', 'prefix'], `outside this connector's names; write ${id}: or leave it out`),
    suffix !== undefined &&
      !suffixes.includes(suffix) &&
      !(prefix !== undefined && own(prefix)) &&
      say(
        ['identity', 'suffix'],
        `not an e-mail domain of this tenant; write one of: ${suffixes.join(', ') || 'none'}`,
      ),
    groupPrefix !== undefined &&
      !own(groupPrefix) &&
      say(['identity', 'groupPrefix'], `outside this connector's names; write ${id}: or leave it out`),
  ]
}

/** A customer's file does not choose which machines of the operator's own network are asked (law 10). */
function addressMistakes({ issuer, proxy }: ConnectorConfig) {
  const host = typeof issuer === 'string' && URL.canParse(issuer) ? new URL(issuer).hostname : undefined
  const inside =
    host !== undefined && (isLoopback(host) || isIP(host.replace(/^\[|\]$/g, '')) !== 0 || !host.includes('.'))
  return [
    inside && say(['issuer'], 'an address of this network; write the public name of the upstream'),
    proxy !== undefined && say(['proxy'], 'only the main file names proxies; take it out'),
  ]
}
