import type { Identity } from './decision.ts'
import { type Facts, mailDomain } from './facts.ts'
import type { ConnectorRules } from './policy.ts'
import type { IdentityTemplate } from './rule.ts'
import { badName } from './text.ts'

/** What a connector without `identity` has: the usual OIDC claims, in a space named after the connector. */
export const usualIdentity: IdentityTemplate = { username: '<preferred_username>', name: '<name>', email: 'email' }

/** A connector's own name space (law 15): every user name of its people begins or ends with it. */
export interface Space {
  readonly prefix: string
  readonly suffix: string
  readonly groups: string
}

/** The space of a connector: as configured, or `<id>:` before user names and captured groups. */
export function spaceOf({ id, identity }: ConnectorRules): Space {
  const usual = `${id}:`
  const suffix = identity?.suffix ?? ''
  return {
    prefix: identity?.prefix ?? (suffix === '' ? usual : ''),
    suffix,
    groups: identity?.groupPrefix ?? usual,
  }
}

/** A connector and whose it is. */
export interface OwnedConnector {
  readonly connector: ConnectorRules
  readonly tenant?: string
}

/** Two connectors that could say the same name, the later one first, and what they share. */
export interface Overlap {
  readonly later: OwnedConnector
  readonly earlier: OwnedConnector
  readonly what: 'user names' | 'group names' | 'e-mail domain'
  readonly fix: string
}

/**
 * Overlaps of name spaces. Names with a suffix alone hold no `:` (see `identityOf`), so that a prefix with a `:` and a
 * suffix never meet.
 */
export function overlaps(connectors: readonly OwnedConnector[]): readonly Overlap[] {
  const entries = connectors.map((owned, order) => ({ owned, order, space: spaceOf(owned.connector) }))
  const suffixed = entries.filter(({ space }) => space.prefix === '' && space.suffix !== '')
  const prefixed = entries.filter((entry) => !suffixed.includes(entry))
  const users = [
    ...sharedStarts(prefixed.map((entry) => ({ ...entry, text: entry.space.prefix }))),
    ...sharedStarts(suffixed.map((entry) => ({ ...entry, text: [...entry.space.suffix].reverse().join('') }))),
    ...suffixed.slice(0, 1).flatMap((one) => prefixed.flatMap((other) => meetsSuffix(other, one))),
  ]
  const groups = sharedStarts(entries.map((entry) => ({ ...entry, text: entry.space.groups })))
  const fixes = {
    users: 'give one of them another `identity.prefix`',
    groups: 'give one of them another `identity.groupPrefix`',
  }
  return [
    ...users.map((pair): Overlap => ({ ...pair, what: 'user names', fix: fixes.users })),
    ...groups.map((pair): Overlap => ({ ...pair, what: 'group names', fix: fixes.groups })),
    ...sharedMailDomains(connectors),
  ]
}

interface Entry {
  readonly owned: OwnedConnector
  readonly order: number
}

type Pair = Pick<Overlap, 'later' | 'earlier'>

const pairOf = (a: Entry, b: Entry): Pair =>
  a.order < b.order ? { later: b.owned, earlier: a.owned } : { later: a.owned, earlier: b.owned }

/** Sorted, a text that begins another stands right before one that it begins. */
function sharedStarts(entries: readonly (Entry & { readonly text: string })[]): readonly Pair[] {
  const sorted = [...entries].sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : a.order - b.order))
  const pairs: Pair[] = []
  let open: (typeof sorted)[number] | undefined
  for (const entry of sorted) {
    if (open !== undefined && entry.text.startsWith(open.text)) pairs.push(pairOf(open, entry))
    else open = entry
  }
  return pairs
}

function meetsSuffix(other: Entry & { readonly space: Space }, suffixed: Entry): readonly Pair[] {
  return other.space.prefix.includes(':') ? [] : [pairOf(other, suffixed)]
}

function sharedMailDomains(connectors: readonly OwnedConnector[]): readonly Overlap[] {
  const seen = new Map<string, OwnedConnector>()
  const found: Overlap[] = []
  for (const later of connectors) {
    for (const domain of later.connector.emailDomains ?? []) {
      const earlier = seen.get(domain.toLowerCase())
      const fix = `take ${domain} out of the emailDomains of one of them`
      if (earlier !== undefined && earlier !== later) found.push({ later, earlier, what: 'e-mail domain', fix })
      seen.set(domain.toLowerCase(), earlier ?? later)
    }
  }
  return found
}

/** How a connector's people are named at targets; made once per connector. */
export function identityOf(connector: ConnectorRules, sharesDomain: 'alone' | 'shared'): (facts: Facts) => Identity {
  const template = connector.identity ?? usualIdentity
  const space = spaceOf(connector)
  const suffixOnly = space.prefix === '' && space.suffix !== ''
  const domains = new Set((connector.emailDomains ?? []).map((domain) => domain.toLowerCase()))
  const username = claimTemplate(template.username)
  const nameOf = claimTemplate(template.name)
  return (facts) => {
    const wanted = username(facts)
    const usable = wanted !== undefined && wanted.length <= 200 && badName(wanted) === undefined
    const local = usable && !(suffixOnly && wanted.includes(':')) ? wanted : facts.short()
    const full = space.prefix + local + space.suffix
    const name = nameOf(facts)
    const [email, ...more] = facts.values(template.email)
    const mail = email !== undefined && more.length === 0 && domains.has(mailDomain(email) ?? '') ? email : undefined
    return {
      username: full,
      localName: sharesDomain === 'alone' ? local : full,
      ...(mail === undefined || badName(mail) !== undefined
        ? {}
        : { email: mail, emailVerified: facts.values('email_verified').includes('true') }),
      ...(name === undefined || badName(name) !== undefined ? {} : { name }),
      ...(connector.domain === undefined ? {} : { domain: connector.domain }),
    }
  }
}

/** A text whose holes are claims, each with exactly one value; undefined where one is missing. */
function claimTemplate(text: string): (facts: Facts) => string | undefined {
  const parts = [...text.matchAll(/<<|<([^<>]+)>|[^<]+|</g)].map(([token, claim]) => ({ token, claim }))
  return (facts) => {
    let out = ''
    for (const { token, claim } of parts) {
      if (claim === undefined) out += token === '<<' ? '<' : token
      else {
        const [value, ...more] = facts.values(claim)
        if (value === undefined || more.length > 0) return undefined
        out += value
      }
    }
    return out
  }
}
