import { z } from 'zod'
import { name } from './fields.ts'

/** A text; YAML would read some as numbers or truth values. */
export const text = () => z.string({ error: 'not text; put it in quotes' })
/** A name that rules use. */
export const word = () =>
  text().regex(/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/, 'not a name; write letters, digits, - _, a letter first')
/** A text that may hold `<name>` holes. */
export const template = () => text().min(1).max(1024)
const texts = () => z.array(template()).min(1)
/** A person as `connector/id`. */
export const person = () =>
  text().regex(
    /^[a-z0-9][a-z0-9._-]{0,63}\/[\s\S]+$/,
    'not a person; write connector/id: the id of the connector, a slash, the subject id',
  )
const on = () => z.literal(true, { error: 'write true, or leave it out' })

/** How many of `keys` stand in `value`. */
const count = (value: object, keys: readonly string[]) => keys.filter((key) => Object.hasOwn(value, key)).length

const lookupSchema = z
  .strictObject({
    lookup: word().describe('The name of a table.'),
    key: template().describe('What is looked up: a template. A key that the table lacks gives nothing.'),
  })
  .describe('What a table holds under a key.')

const textSchema = z.union([template(), lookupSchema], {
  error: 'write a text (in quotes) or { lookup: <table>, key: <text> }',
})

const eachSchema = z
  .strictObject({
    claim: text().min(1).exactOptional().describe('The claim whose values are gone through, one round each.'),
    record: text().min(1).exactOptional().describe('The array of objects whose records are gone through.'),
    pattern: template()
      .exactOptional()
      .describe('Literal text with `<name>` holes; a value that does not fit is passed over.'),
    regex: template().exactOptional().describe('A regular expression (RE2, anchored) with named groups `(?P<name>…)`.'),
    inTable: word().exactOptional().describe('A table; values that are no key of it are passed over.'),
    as: word().exactOptional().describe('With `inTable`: the name under which the text of the table is known.'),
    fields: z
      .record(text(), template())
      .exactOptional()
      .describe('With `record`: a pattern for each field that matters.'),
    ignoreCase: on().exactOptional().describe('Compare and capture ASCII letters in lower case.'),
  })
  .refine((each) => count(each, ['claim', 'record']) === 1, 'write either `claim` or `record`')
  .refine((each) => !('record' in each) || 'fields' in each, '`record` needs `fields`')
  .refine(
    (each) => count(each, ['pattern', 'regex', 'inTable', 'fields']) === 1,
    'write one of `pattern`, `regex`, `inTable`, or `fields` with `record`',
  )
  .refine((each) => 'record' in each === 'fields' in each, '`fields` goes with `record`')
  .refine(
    (each) => !('ignoreCase' in each) || 'pattern' in each,
    '`ignoreCase` goes with `pattern`; in a regex write (?i)',
  )
  .refine((each) => 'inTable' in each === 'as' in each, '`inTable` and `as` go together')
  .describe('One round of grants per matching value.')

const operators = [
  'is',
  'anyOf',
  'allOf',
  'noneOf',
  'prefix',
  'pattern',
  'regex',
  'inTable',
  'present',
  'absent',
] as const
const subjects = ['claim', 'subject', 'email', 'acr', 'amr'] as const

const testSchema = z
  .strictObject({
    claim: text().min(1).exactOptional().describe('A claim; nested ones as JSON pointers (`/realm_access/roles`).'),
    is: textSchema.exactOptional().describe('One of its values is exactly this.'),
    anyOf: texts().exactOptional().describe('One of its values is one of these.'),
    allOf: texts().exactOptional().describe('All of these are among its values.'),
    noneOf: texts()
      .exactOptional()
      .describe('None of these is among its values; holds also where the claim is missing.'),
    prefix: template().exactOptional().describe('One of its values begins with this.'),
    pattern: template().exactOptional().describe('One of its values fits this pattern.'),
    regex: template().exactOptional().describe('One of its values matches this expression (RE2, anchored).'),
    inTable: word().exactOptional().describe('One of its values is a key of this table.'),
    present: on().exactOptional().describe('The claim has a value.'),
    absent: on().exactOptional().describe('The claim has no value.'),
    ignoreCase: on().exactOptional().describe('Compare ASCII letters in lower case.'),
    subject: z
      .union([z.array(person()).min(1), z.strictObject({ inTable: word() })], {
        error: 'write a list of connector/id, or { inTable: <table> } whose keys are such',
      })
      .exactOptional()
      .describe('The person is one of these, each written `connector/id`.'),
    email: z
      .strictObject({ domains: texts().describe('E-mail domains, exact.') })
      .exactOptional()
      .describe('`email` is in one of the domains and `email_verified` is true.'),
    acr: z
      .strictObject({ atLeast: text().min(1).describe('A strength named by `assurance`.') })
      .exactOptional()
      .describe('The sign-in was at least this strong.'),
    amr: z.array(text().min(1)).min(1).exactOptional().describe('One of these methods was used.'),
  })
  .refine((test) => count(test, subjects) === 1, `write exactly one of ${subjects.join(', ')}`)
  .refine(
    (test) => !('claim' in test) || count(test, operators) === 1,
    `\`claim\` needs exactly one of ${operators.join(', ')}`,
  )
  .refine((test) => 'claim' in test || count(test, [...operators, 'ignoreCase']) === 0, 'operators go with `claim`')
  .refine(
    (test) => !('ignoreCase' in test) || count(test, ['regex', 'inTable', 'present', 'absent']) === 0,
    '`ignoreCase` goes with texts and patterns; in a regex write (?i)',
  )
  .describe('A condition; all of a rule must hold.')

const places = ['project', 'namespace', 'cluster', 'group'] as const

/** A grant with holes. */
export const grantSchema = z
  .strictObject({
    target: name().describe('The id of a target.'),
    project: textSchema.exactOptional(),
    domain: textSchema
      .exactOptional()
      .describe('Beside `project` or `group`: the domain that holds it; alone: roles in the domain.'),
    namespace: textSchema.exactOptional(),
    cluster: on().exactOptional(),
    group: textSchema.exactOptional(),
    roles: z
      .union([z.array(text().min(1)).min(1), lookupSchema], {
        error: 'write a list of roles or { lookup: <table>, key: <text> }',
      })
      .exactOptional()
      .describe('Role names, literal, or what a table holds under a key; never a text of the upstream.'),
  })
  .refine((grant) => count(grant, places) <= 1, `write at most one of ${places.join(', ')}`)
  .refine((grant) => count(grant, [...places, 'domain']) > 0, `write one of ${places.join(', ')}, domain`)
  .refine(
    (grant) => !('domain' in grant) || count(grant, ['namespace', 'cluster']) === 0,
    '`domain` goes with `project` or `group`',
  )
  .refine((grant) => 'group' in grant !== 'roles' in grant, 'all but `group` need `roles`, and `group` has none')
  .describe('What is given at one target.')

const glob = () => template().exactOptional()

const forbidSchema = z
  .strictObject({
    person: on().exactOptional().describe('The whole person is refused.'),
    target: glob().describe('Where; `*` stands for any text.'),
    project: glob(),
    domain: glob(),
    namespace: glob(),
    cluster: on().exactOptional(),
    group: glob(),
    roles: z.array(text().min(1)).min(1).exactOptional().describe('Only these roles; all of them where absent.'),
    because: textSchema.describe('The reason, for `explain` and the log.'),
  })
  .refine(
    (forbid) => 'person' in forbid !== 'target' in forbid,
    'write `person: true`, or a `target` and what is forbidden there',
  )
  .refine(
    (forbid) => !('person' in forbid) || count(forbid, [...places, 'domain', 'roles']) === 0,
    '`person: true` already forbids everything',
  )
  .refine((forbid) => count(forbid, places) <= 1, `write at most one of ${places.join(', ')}`)
  .refine((forbid) => !('roles' in forbid && 'group' in forbid), 'a group has no roles')
  .describe('What nobody whom the rule matches may have; it beats every grant.')

const untilSchema = z
  .strictObject({
    endOf: text()
      .min(1)
      .exactOptional()
      .describe('A claim (or `<name>`) that holds a date: grants last to the end of that day.'),
    zone: text()
      .refine((zone) => zoneExists(zone), 'not a time zone; write one such as Europe/Berlin')
      .exactOptional()
      .describe('The IANA time zone of that day.'),
    at: text().min(1).exactOptional().describe('A claim (or `<name>`) that holds an RFC 3339 time or Unix seconds.'),
  })
  .refine((until) => count(until, ['endOf', 'at']) === 1, 'write either `endOf` with `zone`, or `at`')
  .refine((until) => 'endOf' in until === 'zone' in until, '`endOf` and `zone` go together')
  .describe('When the grants end; without a readable date there are none.')

function zoneExists(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }) !== undefined
  } catch {
    return false
  }
}

/** One rule. */
export const ruleSchema = z
  .strictObject({
    name: text().min(1).max(120).describe('What traces, audit and `explain` call it.'),
    from: z
      .array(name())
      .min(1)
      .describe("Connector ids; in tenants and rule sets also `own`, the tenant's own connectors."),
    each: eachSchema.exactOptional(),
    if: z.array(testSchema).exactOptional(),
    give: z.array(grantSchema).min(1).exactOptional(),
    until: untilSchema.exactOptional(),
    forbid: forbidSchema.exactOptional(),
    admit: on().exactOptional().describe('The person may sign in, also with no grant.'),
  })
  .refine((rule) => count(rule, ['give', 'forbid', 'admit']) > 0, 'says nothing: write `give`, `forbid` or `admit`')
  .refine(
    (rule) => !('forbid' in rule) || count(rule, ['give', 'admit', 'until']) === 0,
    'a rule that forbids gives nothing',
  )
  .refine((rule) => !('until' in rule) || 'give' in rule, '`until` goes with `give`')
