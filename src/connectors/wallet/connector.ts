import { LoginError } from '../../core/errors.ts'
import type { Answer, Challenge, Connector, ConnectorPorts, Proved } from '../connector.ts'
import { answers, queryOf } from './dcql.ts'
import type { WalletConfig } from './options.ts'
import { type Asking, exchangesIn, linkTo, memoOf, newExchanges, requestObject } from './request.ts'
import { vpTokenIn } from './response.ts'
import type { WalletView } from './side.ts'
import { openSigner } from './signer.ts'

/**
 * A connector to wallets.
 * @see OpenID4VP 1.0, HAIP 1.0
 */
export function openWallet(config: WalletConfig, ports: ConnectorPorts): Connector {
  const query = queryOf(config, () => [])
  const asking: Asking = { config, ports, query, signer: openSigner(config, ports.callback.hostname) }
  return {
    id: config.id,
    begin: async (state) => begin(asking, state),
    complete: (answer) => complete(asking, answer),
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

async function complete(asking: Asking, { memo, form }: Answer): Promise<Proved> {
  const { config } = asking
  const { state, all } = exchangesIn(asking, memo)
  const exchange = all.find(({ id }) => id === form?.get('request'))
  if (!form || !exchange) throw rejected('it answers no request of this sign-in')
  const answered = answers(config, await vpTokenIn(form, exchange, { state, response: config.response }))
  throw rejected(`${answered.length} presentations cannot be verified yet`)
}

const rejected = (why: string) => new LoginError('upstream_rejected', `the wallet's answer was refused: ${why}`)
