import { createLocalJWKSet, errors, type JSONWebKeySet, type JWK, type JWTVerifyGetKey } from 'jose'
import { LoginError } from '../../core/errors.ts'
import type { ConnectorPorts } from '../connector.ts'
import { failure } from './failure.ts'
import type { OidcConfig } from './options.ts'
import type { Upstream } from './upstream.ts'

/** Seconds for which keys are used without another look. */
const FRESH = 300
/** Seconds between two looks because a signature did not fit; anybody may send one that does not. */
const PAUSE = 10
/** Seconds before keys are asked for again that could not be had. */
const PAUSE_AFTER_FAILURE = 1

/** Keys as published, and as jose takes them. */
export interface KeySet {
  readonly keys: readonly JWK[]
  readonly choose: JWTVerifyGetKey
}

/** The upstream's published keys. */
export interface Keys {
  /**
   * Runs a check by the keys known here; where the key is not among them or the signature does not fit, once more with fresh
   * ones, at most every 10 seconds.
   * @throws what `check` throws, and {LoginError} `upstream_unavailable`, `upstream_rejected` where the keys cannot be had
   */
  verify<T>(check: (keys: KeySet) => T | Promise<T>): Promise<T>
}

/** Keys, and when they were read (Unix seconds). */
interface Known {
  readonly keys: KeySet
  readonly at: number
}

/** Makes no request until asked. */
export function openKeys(config: OidcConfig, ports: ConnectorPorts, upstream: Pick<Upstream, 'metadata'>): Keys {
  let known: Known | undefined
  let running: Promise<KeySet> | undefined
  let notBefore = Number.NEGATIVE_INFINITY
  let sought = Number.NEGATIVE_INFINITY

  const read = () => {
    running ??= fetchKeys(ports, upstream)
      .then(
        (keys) => {
          known = { keys, at: ports.now() }
          return keys
        },
        (error: unknown) => {
          notBefore = ports.now() + PAUSE_AFTER_FAILURE
          throw failure(error)
        },
      )
      .finally(() => {
        running = undefined
      })
    return running
  }

  const current = async () => {
    if (known && ports.now() - known.at < FRESH) return known.keys
    if (ports.now() < notBefore && !running)
      throw new LoginError('upstream_unavailable', `the keys of ${config.id} could not be read a moment ago`)
    return await read()
  }

  /** Keys that are newer than those which did not fit; undefined where it is too early to look. */
  const newer = async (used: Known): Promise<KeySet | undefined> => {
    if (running) return await running
    if (known && known !== used) return known.keys
    if (ports.now() - sought < PAUSE) return undefined
    sought = ports.now()
    // A GXFS service makes a new key at every start and calls it by the same kid: no unknown kid tells of the change.
    ports.log('warn', 'a signature does not fit the known keys of its issuer; reading them again', {
      connector: config.id,
    })
    return await read()
  }

  return {
    async verify(check) {
      const before = known
      const keys = await current()
      const used = known
      try {
        return await check(keys)
      } catch (first) {
        // What was read for this very message is the newest there is; otherwise a known `kid` may stand for a new key.
        if (!isKeyTrouble(first) || !used || used !== before) throw first
        const again = await newer(used)
        if (!again) throw first
        return await check(again)
      }
    },
  }
}

async function fetchKeys(ports: ConnectorPorts, upstream: Pick<Upstream, 'metadata'>): Promise<KeySet> {
  const { jwks_uri: uri } = await upstream.metadata()
  const response = await ports.fetch(uri!, { redirect: 'manual', headers: { accept: 'application/json' } })
  if (!response.ok)
    throw new LoginError('upstream_unavailable', `the upstream's keys answered with status ${response.status}`)
  const text = await response.text()
  try {
    const set = JSON.parse(text) as JSONWebKeySet // the library looks at its shape
    return { choose: createLocalJWKSet(set), keys: set.keys }
  } catch {
    throw new LoginError('upstream_rejected', "the upstream's keys are no set of keys")
  }
}

const isKeyTrouble = (thrown: unknown) =>
  thrown instanceof errors.JWKSNoMatchingKey || thrown instanceof errors.JWSSignatureVerificationFailed
