import type { Subject } from '../core/subject.ts'

/** Somebody who can be clicked at an organisation's sign-in page. */
export interface Person {
  /** The upstream's `sub`, and the person's name in links of the demo. */
  readonly sub: string
  readonly name: string
  /** What she is, in a word or two, as the pages say it. */
  readonly role: string
  /** What the organisation asserts beside name and e-mail. */
  readonly claims: Readonly<Record<string, string | readonly string[]>>
  readonly acr?: string
  readonly amr?: readonly string[]
}

/** One upstream of the demo; `id` is that of its connector in config/demo.yaml. */
export interface Organisation {
  readonly id: string
  readonly name: string
  /** `#rrggbb`, the accent of its own sign-in page. */
  readonly color: string
  readonly mailDomain: string
  readonly people: readonly Person[]
}

const DAY = 86_400

/**
 * The two organisations.
 * @param now Unix seconds: one contract ends tomorrow, as a calendar in Berlin has it
 */
export function organisations(now: number): readonly Organisation[] {
  return [
    { id: 'corp', name: 'Corp AG', color: '#7a3e9d', mailDomain: 'corp.example', people: employees },
    { id: 'campus', name: 'Example University', color: '#1d6f42', mailDomain: 'uni.example', people: academics(now) },
  ]
}

const employees: readonly Person[] = [
  {
    sub: 'ada',
    name: 'Ada Sommer',
    role: 'Developer',
    claims: { groups: ['/teams/web/developers', '/all'], account_status: 'active' },
    acr: 'low',
    amr: ['pwd'],
  },
  {
    sub: 'ben',
    name: 'Ben Okafor',
    role: 'Lead, with a security key',
    claims: { groups: ['/teams/db/leads', '/all'], account_status: 'active' },
    acr: 'high',
    amr: ['pwd', 'hwk'],
  },
  {
    sub: 'cleo',
    name: 'Cleo Martin',
    role: 'Lead, suspended',
    claims: { groups: ['/teams/web/leads', '/all'], account_status: 'suspended' },
    acr: 'high',
    amr: ['pwd', 'hwk'],
  },
  {
    sub: 'dana',
    name: 'Dana Petrov',
    role: 'Reseller’s engineer',
    claims: { employee_type: 'partner', customers: ['4711', '4712', '9999'] },
    acr: 'low',
    amr: ['pwd'],
  },
]

const academics = (now: number): readonly Person[] => [
  {
    sub: 'eva',
    name: 'Eva Lindqvist',
    role: 'Researcher',
    claims: {
      eduPersonScopedAffiliation: ['staff@bio.uni.example', 'member@uni.example'],
      eduPersonEntitlement: ['urn:geant:uni.example:res:hpc:group:bio:genomics:role=admin#aai.uni.example'],
    },
  },
  {
    sub: 'finn',
    name: 'Finn Huber',
    role: 'Student',
    claims: { eduPersonScopedAffiliation: ['student@uni.example', 'member@uni.example'] },
  },
  {
    sub: 'greta',
    name: 'Greta Rossi',
    role: 'Guest until tomorrow',
    claims: { employee_type: 'guest', contractEnd: dayInBerlin(now + DAY) },
  },
]

/** `2026-12-31`: the day that a calendar in Berlin shows at a moment. */
function dayInBerlin(seconds: number): string {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: 'Europe/Berlin', dateStyle: 'short' })
  return format.format(new Date(seconds * 1000))
}

/** The address that belongs to a person; its domain leads the gateway to her organisation. */
export function mailOf(organisation: Organisation, person: Person): string {
  return `${person.sub}@${organisation.mailDomain}`
}

/** Everything that the upstream says of a person, beside `sub`. */
export function claimsOf(organisation: Organisation, person: Person): Readonly<Record<string, unknown>> {
  return {
    name: person.name,
    preferred_username: person.sub,
    email: mailOf(organisation, person),
    email_verified: true,
    ...person.claims,
  }
}

/** A person as the gateway's rules will see her, for the pages that explain before anybody has signed in. */
export function subjectOf(organisation: Organisation, person: Person, now: number): Subject {
  const { acr, amr } = person
  const claims = Object.entries(claimsOf(organisation, person)).map(([name, value]) => [
    name,
    [value].flat().map(String),
  ])
  return {
    connector: organisation.id,
    id: person.sub,
    claims: Object.fromEntries(claims),
    records: {},
    authTime: now,
    ...(acr === undefined ? {} : { acr }),
    ...(amr === undefined ? {} : { amr }),
  }
}
