import { LoginError } from '../../core/errors.ts'
import type { Proof, Subject } from '../../core/subject.ts'
import type { Answer, Challenge, Connector, ConnectorPorts, Proved } from '../connector.ts'
import type { Binding, Credential } from './credential.ts'
import { presented } from './credentials/presented.ts'
import { type Answered, answers, type Found, matched, queryOf } from './dcql.ts'
import { keep, kept } from './kept.ts'
import type { WalletConfig } from './options.ts'
import type { VerifyPorts } from './ports.ts'
import { refusal } from './refusal.ts'
import { type Asking, clientIdOf, exchangesIn, linkTo, memoOf, newExchanges, requestObject } from './request.ts'
import { vpTokenIn } from './response.ts'
import type { WalletView } from './side.ts'
import { openSigner } from './signer.ts'
import { standingOf } from './status/status.ts'
import { subjectFrom } from './subject.ts'
import { type Judged, judge } from './trust.ts'
import { openTrusted, type Trusted } from './trusted.ts'

interface Wallet {
  readonly asking: Asking
  readonly trusted: Trusted
}

/**
 * A connector to wallets.
 * @see OpenID4VP 1.0, HAIP 1.0
 */
export function openWallet(config: WalletConfig, ports: ConnectorPorts): Connector {
  const trusted = openTrusted(config, ports)
  const query = queryOf(config, trusted.keyIds)
  const asking: Asking = { config, ports, query, signer: openSigner(config, ports.callback.hostname) }
  const wallet: Wallet = { asking, trusted }
  return {
    id: config.id,
    begin: async (state) => begin(asking, state),
    complete: (answer) => complete(wallet, answer),
    recheck: (proof) => recheck(wallet, proof),
    tend: () => trusted.tend(),
    wallet: {
      view: (memo) => view(asking, memo),
      request: (memo, asked) => requestObject(asking, exchangesIn(asking, memo), asked),
    },
  }
}

function begin(asking: Asking, state: string): Challenge {
  const exchanges = newExchanges(asking, state)
  const requests = exchanges.all.map(({ id, way, whole }) => ({ id, way, ...(whole && { whole }) }))
  return { kind: 'wallet', requests, seconds: asking.config.requestTtl, memo: memoOf(asking, exchanges) }
}

function view(asking: Asking, memo: Answer['memo']): WalletView {
  const exchanges = exchangesIn(asking, memo)
  const by = new Map(exchanges.all.map((exchange) => [exchange.way, exchange]))
  const link = (way: 'here' | 'elsewhere') => {
    const exchange = by.get(way)
    return exchange && linkTo(asking, exchanges, exchange)
  }
  const [code, browser] = [link('elsewhere'), by.get('browser')?.id]
  return {
    link: link('here')!, // there is one in every sign-in
    ...(code !== undefined && { code }),
    ...(browser !== undefined && { browser }),
    asked: asking.config.credentials
      .filter(({ from }) => from !== 'operator')
      .map(({ id, claims }) => ({ label: id, claims: claims.map(({ path }) => path.join('.')) })),
    until: exchanges.until,
  }
}

async function complete(wallet: Wallet, { memo, form }: Answer): Promise<Proved> {
  const { asking, trusted } = wallet
  const { config, ports } = asking
  const { state, until, all } = exchangesIn(asking, memo)
  const exchange = all.find(({ id }) => id === form?.get('request'))
  if (!form || !exchange) throw refusal('it answers no request of this sign-in')
  const at = ports.now()
  if (at >= until) throw refusal('it came after its request had ended')
  const vpToken = await vpTokenIn(form, exchange, { state, response: config.response })
  const binding = { nonce: exchange.nonce, audience: clientIdOf(asking, exchange) }
  const answered = answers(config, vpToken)
  await trusted.ready()
  const found = matched(config, await checked(answered, binding, trusted.ports()))
  const judged = judge(trusted.policy(), found, at)
  const revoked = await firstRevoked(wallet, judged)
  if (revoked !== undefined) throw new LoginError('credential_revoked', revoked)
  return proofOf(wallet, { found, judged, at })
}

/** Each presentation by itself; the first that fails ends it. */
async function checked(answered: readonly Answered[], binding: Binding, ports: VerifyPorts) {
  const all: { readonly asked: Answered['asked']; readonly credentials: readonly Credential[] }[] = []
  for (const { asked, presentation } of answered)
    all.push({ asked, credentials: await presented(asked.format, presentation, binding, ports) })
  return all
}

/** What a sign-in comes to: who she is, and what a recheck will judge again. */
interface Outcome {
  readonly found: readonly Found[]
  readonly judged: Judged
  /** Unix seconds. */
  readonly at: number
}

/** Good as long as the connector's answers are, and no longer than anything that it rests on. */
function proofOf({ asking: { config, ports } }: Wallet, { found, judged, at }: Outcome): Proof {
  const { subject, validUntil } = subjectFrom(judged, config, at)
  return {
    subject,
    provenAt: at,
    goodUntil: Math.min(at + config.maxProofAge, validUntil ?? Number.POSITIVE_INFINITY),
    sealed: ports.seal(keep(judged, found), sealContext(config, subject)),
  }
}

/** Binds what is sealed to one connector and one person: it opens nowhere else. */
const sealContext = ({ id }: WalletConfig, subject: Pick<Subject, 'id'>) => `wallet\n${id}\n${subject.id}`

/** @throws {LoginError} `upstream_unavailable` where a status cannot be read */
async function firstRevoked({ trusted }: Wallet, { rests }: Judged): Promise<string | undefined> {
  const ports = trusted.ports()
  const standings = await Promise.all(rests.map((each) => standingOf(each, ports)))
  const at = standings.findIndex((standing) => standing !== 'valid')
  return at < 0 ? undefined : `${rests[at]?.types.join(', ')} is ${standings[at]} by its issuer`
}

/** Judges again what was presented, by what is trusted and by the status that stands now: nobody needs to open a wallet for it. */
async function recheck(wallet: Wallet, proof: Proof): Promise<Proof | 'gone' | 'unknown'> {
  const { config, ports } = wallet.asking
  if (!proof.sealed || proof.subject.connector !== config.id) return 'unknown'
  const at = ports.now()
  const gone = (why: string) => {
    ports.log('info', `a person is gone: ${why}`, { connector: config.id })
    return 'gone' as const
  }
  const found = kept(config, ports.open(proof.sealed, sealContext(config, proof.subject)))
  if (!found) return gone('what she presented is not asked for any more')
  await wallet.trusted.ready()
  const judged = againJudged(wallet, found, at)
  if (typeof judged === 'string') return gone(judged)
  const revoked = await firstRevoked(wallet, judged)
  if (revoked !== undefined) return gone(revoked)
  const renewed = proofOf(wallet, { found, judged, at })
  return { ...renewed, subject: { ...renewed.subject, authTime: proof.subject.authTime } }
}

/** @returns a reason where these credentials would sign nobody in now @throws {LoginError} `upstream_unavailable` */
function againJudged({ asking: { config }, trusted }: Wallet, found: readonly Found[], at: number): Judged | string {
  const policy = trusted.policy()
  const unread = Object.keys(config.lists).find((name) => policy.lists(name) === undefined)
  // Who stands on a list that could not be read yet is not known: nobody is gone for that.
  if (unread !== undefined) throw new LoginError('upstream_unavailable', `the list ${unread} was not read yet`)
  try {
    return judge(policy, found, at)
  } catch (error) {
    if (error instanceof LoginError && error.code === 'upstream_rejected') return error.message
    throw error
  }
}
