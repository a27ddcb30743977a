import { hash } from 'node:crypto'
import { type KeystoneState, link, newId, Refusal, rolesIn, type User, usersBy } from './state.ts'

/** A token of this Keystone. Valid is what would be valid at this moment, as a Fernet token is looked at when it is shown. */
export interface Token {
  readonly id: string
  readonly user: string
  /** `project:ID`, `domain:ID`, `system:all`; absent for an unscoped token. */
  readonly place?: string
  readonly methods: readonly string[]
  /** Counts up: what was cut before a number is dead. (A real Keystone compares whole seconds.) */
  readonly born: number
  readonly credential?: string
}

export interface Tokens {
  /** @throws {Refusal} 401 for a place in which the user has no role */
  issue(user: User, methods: readonly string[], more?: Pick<Token, 'place' | 'credential'>): Token
  find(id: string): Token | undefined
  revoke(id: string): void
  /** Every token of the user so far is dead for good. */
  cut(user: string): void
  rolesOf(token: Token): readonly string[]
}

/** @param disabledLogin what a login of a disabled federated user gives: `valid` tokens before 26.1, `worthless` ones since */
export function openTokens(state: KeystoneState, disabledLogin: 'valid' | 'worthless'): Tokens {
  const tokens = new Map<string, Token>()
  const cuts = new Map<string, number>()
  let clock = 0

  const rolesOf = ({ place, user, credential }: Token): readonly string[] => {
    if (place === undefined) return []
    const now = rolesIn(state, place, user)
    const kept = credential === undefined ? undefined : state.credentials.get(credential)?.roles
    return kept === undefined ? now : now.filter((role) => kept.includes(role))
  }

  const alive = (token: Token): boolean => {
    const user = state.users.get(token.user)
    if (user === undefined || token.born <= (cuts.get(user.id) ?? 0)) return false
    const federated = user.federated.length > 0
    if (!user.enabled && (disabledLogin === 'worthless' || !federated)) return false
    if (token.credential !== undefined && !credentialWorks(state, token.credential)) return false
    if (token.place?.startsWith('project:') && !state.projects.get(token.place.slice(8))?.enabled) return false
    return token.place === undefined || rolesOf(token).length > 0
  }

  return {
    issue(user, methods, more = {}) {
      const token = { id: `gAAAA${newId()}`, user: user.id, methods, born: ++clock, ...more }
      if (token.place !== undefined && rolesIn(state, token.place, user.id).length === 0)
        throw new Refusal(401, 'The request you have made requires authentication.')
      tokens.set(token.id, token)
      return token
    },
    find(id) {
      const token = tokens.get(id)
      return token !== undefined && alive(token) ? token : undefined
    },
    revoke: (id) => void tokens.delete(id),
    cut: (user) => void cuts.set(user, clock),
    rolesOf,
  }
}

/** An application credential rests on a user who is enabled and still has each of its roles in its project. */
export function credentialWorks(state: KeystoneState, id: string): boolean {
  const credential = state.credentials.get(id)
  if (credential === undefined || !state.users.get(credential.user)?.enabled) return false
  const now = rolesIn(state, `project:${credential.project}`, credential.user)
  return credential.roles.every((role) => now.includes(role))
}

/** A person as the gateway's token names her. */
export interface Visitor {
  readonly sub: string
  readonly name: string
  readonly email?: string
  /** Name of the domain in which she is made where she is new. */
  readonly domain?: string
}

/** The mapped user of a federated login: found by the identity alone, or made, with the id that Keystone computes. */
export function mappedUser(state: KeystoneState, [idp, protocol]: readonly [string, string], visitor: Visitor): User {
  const [known] = usersBy(state, idp, protocol, visitor.sub)
  if (known !== undefined) {
    known.displayName = visitor.name
    if (visitor.email !== undefined && known.localName === undefined) known.extra['email'] = visitor.email
    return known
  }
  const domain = [...state.domains.values()].find(({ name }) => name === (visitor.domain ?? 'Default'))
  if (domain === undefined) throw new Refusal(404, `Could not find domain: ${visitor.domain}.`)
  const user: User = {
    id: hash('sha256', `${domain.id}user${visitor.sub}`),
    domain_id: domain.id,
    enabled: true,
    displayName: visitor.name,
    federated: [],
    extra: visitor.email === undefined ? {} : { email: visitor.email },
  }
  link(state, user, [{ idp_id: idp, protocols: [{ protocol_id: protocol, unique_id: visitor.sub }] }])
  state.users.set(user.id, user)
  return user
}
