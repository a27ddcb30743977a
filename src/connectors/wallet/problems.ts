import { proxyProblem } from '../proxy.ts'
import { isNoPerson, isNumber } from './gaia-x.ts'
import type { WalletConfig } from './options.ts'
import { signerProblem } from './signer.ts'

/** A mistake that no single option shows, with the option to which it belongs. */
interface Problem {
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** What is looked at: secrets are texts once loaded. */
type Judged = Pick<
  WalletConfig,
  | 'clientIdPrefix'
  | 'did'
  | 'certificate'
  | 'privateKey'
  | 'requestTtl'
  | 'credentials'
  | 'sets'
  | 'require'
  | 'anchors'
  | 'lists'
  | 'evidence'
> & { proxy?: unknown }

/** What the options contradict each other in; empty where all is well. For the loader, after the shape was read. */
export function walletProblems(config: Judged): readonly Problem[] {
  return [
    ...waiting(config),
    ...identity(config),
    ...credentials(config),
    ...sets(config),
    ...required(config),
    ...proxyProblem(config),
  ]
}

/** Seconds for which the gateway remembers a sign-in that waits. */
const LONGEST_WAIT = 600

function waiting({ requestTtl }: Judged): readonly Problem[] {
  const late = requestTtl > LONGEST_WAIT
  return late ? [{ path: ['requestTtl'], message: 'longer than a sign-in may take; write 10m or less' }] : []
}

function identity(config: Judged): readonly Problem[] {
  const { clientIdPrefix: prefix, did, certificate, privateKey } = config
  const missing = (option: string) => ({ path: [option], message: `missing; \`clientIdPrefix: ${prefix}\` needs it` })
  if (prefix === 'redirect_uri') return []
  const absent = [
    ...(privateKey === undefined ? [missing('privateKey')] : []),
    ...(prefix.startsWith('x509_') && certificate === undefined ? [missing('certificate')] : []),
    ...(prefix === 'decentralized_identifier' && did === undefined ? [missing('did')] : []),
  ]
  const useless = absent.length === 0 ? signerProblem(config) : undefined
  return useless ? [useless] : absent
}

function credentials({ credentials: all, anchors, lists }: Judged): readonly Problem[] {
  const names = all.map(({ id }) => id)
  const personal = all.some(({ about }) => about === 'person')
  return [
    ...(personal ? [] : [{ path: ['credentials'], message: 'none speaks of a person: nobody could sign in' }]),
    ...all.flatMap((each, at) => {
      const say = (option: string, message: string) => ({ path: ['credentials', at, option], message })
      const found: Problem[] = []
      if (names.indexOf(each.id) < at) found.push(say('id', 'is there twice'))
      // Each of these would be read by nobody.
      if (each.about === 'person' && each.from !== 'wallet')
        found.push(say('from', 'who a person is comes from her wallet alone'))
      const wrong = each.about === 'person' ? each.types.find(isNoPerson) : undefined
      if (wrong)
        found.push(
          say('types', `${wrong} speaks of an organisation; whoever has it would sign in as all of its people`),
        )
      if (each.about === 'person' && each.facts) found.push(say('facts', 'are about organisations'))
      if (each.about === 'organisation' && each.memberOf !== 'issuer') found.push(say('memberOf', 'is about persons'))
      if (each.about === 'organisation' && each.subject !== 'holder') found.push(say('subject', 'is about persons'))
      if (each.about === 'organisation' && each.acr !== undefined) found.push(say('acr', 'is about persons'))
      return [...found, ...issuers({ all, each, at, anchors, lists })]
    }),
  ]
}

/** Whether others than the organisation say it, and it is more than a number that anybody may ask for. */
const vouching = ({ about, issuedBy, types }: Judged['credentials'][number]) =>
  about === 'organisation' && issuedBy.some((issuer) => issuer !== 'itself') && !types.every(isNumber)

interface Place extends Pick<Judged, 'anchors' | 'lists'> {
  readonly all: Judged['credentials']
  readonly each: Judged['credentials'][number]
  readonly at: number
}

function issuers({ all, each, at, anchors, lists }: Place): readonly Problem[] {
  return each.issuedBy.flatMap((issuer, index) => {
    const say = (message: string) => ({ path: ['credentials', at, 'issuedBy', index], message })
    if (issuer === 'itself') return each.about === 'person' ? [say('nobody vouches for herself')] : []
    if (issuer === 'organisations') {
      if (each.about === 'organisation') return [say('name who vouches for an organisation')]
      return all.some(vouching)
        ? []
        : [
            say(
              'no credential vouches for organisations: it is of another issuer, and more than a registration number, which anybody may ask for',
            ),
          ]
    }
    const { anchor, list } = issuer
    return [
      ...(anchor !== undefined && !Object.hasOwn(anchors, anchor) ? [say(`no anchor is called ${anchor}`)] : []),
      ...(list !== undefined && !Object.hasOwn(lists, list) ? [say(`no list is called ${list}`)] : []),
    ]
  })
}

function sets({ credentials: all, sets: given = [] }: Judged): readonly Problem[] {
  const asked = new Set(all.filter(({ from }) => from !== 'operator').map(({ id }) => id))
  const unknown = given.flatMap(({ anyOf }, at) =>
    anyOf.flatMap((option, index) =>
      option.flatMap((id) =>
        asked.has(id)
          ? []
          : [
              {
                path: ['sets', at, 'anyOf', index],
                message: `no credential that wallets are asked for is called ${id}`,
              },
            ],
      ),
    ),
  )
  const used = new Set(given.flatMap(({ anyOf }) => anyOf.flat()))
  const unused = given.length === 0 ? [] : [...asked].filter((id) => !used.has(id))
  return [
    ...unknown,
    ...unused.map((id) => ({
      path: ['sets'],
      message: `${id} is in none of them, so that no wallet would be asked for it`,
    })),
  ]
}

function required({ credentials: all, require: facts }: Judged): readonly Problem[] {
  const vouched = all.some(({ about }) => about === 'organisation')
  return facts.length > 0 && !vouched
    ? [{ path: ['require'], message: 'no credential is about organisations: nothing would be known of any' }]
    : []
}
