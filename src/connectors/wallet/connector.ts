import { LoginError } from '../../core/errors.ts'
import type { Proof } from '../../core/subject.ts'
import type { Answer, Challenge, Connector, ConnectorPorts, Hints, Proved } from '../connector.ts'
import type { Binding, Credential } from './credential.ts'
import { presented } from './credentials/presented.ts'
import { type Answered, answers, matched, queryOf } from './dcql.ts'
import { inspect } from './inspect.ts'
import type { WalletConfig } from './options.ts'
import type { VerifyPorts } from './ports.ts'
import { print } from './print.ts'
import { firstRevoked, isRejected, judgeNow, proofOf, type Wallet } from './proof.ts'
import { recheck } from './recheck.ts'
import { refusal } from './refusal.ts'
import { type Asking, audiencesOf, exchangesIn, linkTo, memoOf, newExchanges, requestObject } from './request.ts'
import { vpTokenIn } from './response.ts'
import { probe, review } from './review.ts'
import type { WalletView } from './side.ts'
import { openSigner } from './signer.ts'
import { standingOf } from './status/status.ts'
import { openTrusted } from './trusted.ts'

/**
 * A connector to wallets.
 * @see OpenID4VP 1.0, HAIP 1.0
 */
export function openWallet(config: WalletConfig, ports: ConnectorPorts): Connector {
  const trusted = openTrusted(config, ports)
  // Anew for each request: registries may have other anchors by then.
  const query = () => queryOf(config, trusted.keyIds)
  const asking: Asking = { config, ports, query, signer: openSigner(config, ports.callback.hostname) }
  const wallet: Wallet = { asking, trusted }
  const standing = (credential: Parameters<typeof standingOf>[0]) => standingOf(credential, trusted.ports())
  return {
    id: config.id,
    begin: async (state, hints) => begin(asking, state, hints),
    complete: (answer) => complete(wallet, answer),
    recheck: (proof) => recheck(wallet, proof),
    tend: () => trusted.tend(),
    print: () => print({ ...asking, ports, query: query() }),
    review: () => review({ config, trusted, now: ports.now() }),
    probe: () => probe({ config, trusted, now: ports.now() }),
    inspect: (captured) => inspect({ config, trusted, now: ports.now(), standing }, captured),
    wallet: {
      view: (memo) => view(asking, memo),
      request: (memo, asked) => requestObject(asking, exchangesIn(asking, memo), asked),
    },
  }
}

function begin(asking: Asking, state: string, hints: Hints): Challenge {
  const exchanges = newExchanges(asking, state, hints)
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
      .map(({ id, label = id, claims }) => ({
        label,
        claims: claims.map(({ path }) => path.filter((name) => name !== null).join(' ')),
      })),
    until: exchanges.until,
  }
}

async function complete(wallet: Wallet, { memo, form }: Answer): Promise<Proved> {
  const { asking, trusted } = wallet
  const { config, ports } = asking
  const { state, until, acrValues, all } = exchangesIn(asking, memo)
  const exchange = all.find(({ id }) => id === form?.get('request'))
  if (!form || !exchange) throw refusal('it answers no request of this sign-in')
  const at = ports.now()
  if (at >= until) throw refusal('it came after its request had ended')
  const vpToken = await vpTokenIn(form, exchange, { state, response: config.response })
  const bindings = audiencesOf(asking, exchange).map((audience) => ({ nonce: exchange.nonce, audience }))
  const answered = answers(config, vpToken)
  await trusted.ready()
  const found = matched(config, await checked(answered, bindings, trusted.ports()))
  const judged = await judgeNow(wallet, found, at)
  const revoked = await firstRevoked(wallet, judged)
  if (revoked !== undefined) throw new LoginError('credential_revoked', revoked)
  const proof = proofOf(wallet, { found, judged, at })
  strongEnough(proof.subject, acrValues)
  return proof
}

/** @throws {LoginError} `acr_not_met` */
function strongEnough({ acr }: Proof['subject'], wanted: readonly string[]) {
  const [first] = wanted
  if (first === undefined || (acr !== undefined && wanted.includes(acr))) return
  const detail = `the credential means ${acr ?? 'no strength'}, asked was ${wanted.join(' ')}`
  throw new LoginError('acr_not_met', detail, { facts: { acr: first } })
}

/** Each presentation by itself; the first that fails ends it. */
async function checked(answered: readonly Answered[], bindings: readonly Binding[], ports: VerifyPorts) {
  const all: { readonly asked: Answered['asked']; readonly credentials: readonly Credential[] }[] = []
  for (const { asked, presentation } of answered)
    all.push({
      asked,
      credentials: await boundTo(bindings, (binding) => presented(asked.format, presentation, binding, ports)),
    })
  return all
}

/** By the first binding that it fits. @throws what it threw for the first */
async function boundTo<T>(
  [binding, ...others]: readonly Binding[],
  check: (binding: Binding) => Promise<T>,
): Promise<T> {
  try {
    return await check(binding!) // there is one
  } catch (error) {
    if (others.length === 0 || !isRejected(error)) throw error
    return boundTo(others, check).catch(() => {
      throw error
    })
  }
}
