import { LoginError } from '../../core/errors.ts'
import type { Answer, Connector, ConnectorPorts, Hints, Proved } from '../connector.ts'
import { authenticationOf } from './acr.ts'
import { type Exchange, expectedOf } from './expected.ts'
import type { Idp } from './idp.ts'
import { inspect } from './inspect.ts'
import { logout, relay } from './logout.ts'
import { type Directory, openDirectory } from './metadata/directory.ts'
import type { SamlConfig } from './options.ts'
import { type Saml, SKEW } from './parts.ts'
import { print } from './print.ts'
import { proofOf } from './proof.ts'
import { type Asked, begin } from './request.ts'
import { probe, review } from './review.ts'
import type { ServiceProvider } from './side.ts'
import type { CheckSignature } from './signature.ts'
import { openSignatureThread, type SignatureThread } from './signature-thread.ts'
import { subjectOf } from './subject.ts'
import { type Verified, verifyResponse } from './verify.ts'

/**
 * A connector to SAML identity providers: Web Browser SSO (requests by redirect or POST, answers by POST) and Single Logout.
 * Not there: the artifact binding, ECP, encrypted NameIDs; no recheck, since a SAML IdP cannot be asked about somebody again.
 * @see SAML 2.0 profiles 4.1 and 4.4
 */
export function openSaml(config: SamlConfig, ports: ConnectorPorts): Connector {
  const directory = openDirectory(config, ports)
  const saml: Saml = { config, ports, directory, check: threadOf(ports).queue(), renew: renewal(directory, ports) }
  if (config.sha1 === 'allowed')
    ports.log('warn', 'this connector takes signatures with SHA-1, which can be forged', { connector: config.id })
  return {
    id: config.id,
    begin: async (state, hints) => begin(config, ports, { idp: await chosenIdp(saml, hints), state, hints }),
    complete: (answer) => complete(saml, answer),
    logout: (proof, back) => logout(saml, proof, back),
    relay: (message) => relay(saml, message),
    discover: () => directory.discover(),
    tend: () => directory.tend(),
    standing: () => directory.standing(),
    print: () => print(config, ports),
    review: () => review({ config, directory, now: ports.now() }),
    probe: () => probe({ config, directory, now: ports.now() }),
    inspect: (captured) => inspect(saml, captured),
  }
}

const threads = new WeakMap<ServiceProvider, SignatureThread>()

/** The thread of a gateway, which is one service provider. */
function threadOf({ sp }: ConnectorPorts): SignatureThread {
  const thread = threads.get(sp) ?? openSignatureThread()
  threads.set(sp, thread)
  return thread
}

/** Seconds between two readings of metadata because somebody came with a signature by a key that is not in it. */
const RENEWED = 60

/** Reads metadata again where that was not done a moment ago; whoever comes meanwhile waits for the same reading, and is helped by it. */
function renewal(directory: Directory, { now }: ConnectorPorts): Saml['renew'] {
  let last = Number.NEGATIVE_INFINITY
  let reading: Promise<unknown> = Promise.resolve()
  return async ({ entityId, signing }) => {
    if (now() >= last + RENEWED) {
      last = now()
      // What cannot be read is told by whoever looks into it below.
      reading = directory.renew(entityId).catch(() => undefined)
    }
    await reading
    const idp = await directory.find(entityId)
    return idp?.signing.join() === signing.join() ? undefined : idp
  }
}

/** @throws {LoginError} `upstream_unavailable`; `unknown_connector` where nobody said which of many, or named one that is not there */
async function chosenIdp({ config, directory }: Saml, { idp }: Hints): Promise<Idp> {
  const named = config.entity ?? idp
  const found = named === undefined ? await directory.only() : await directory.find(named)
  if (!found)
    throw new LoginError('unknown_connector', 'no identity provider was chosen, or none of that name is known')
  return found
}

async function complete(saml: Saml, answer: Answer): Promise<Proved> {
  const { config, ports } = saml
  const { memo, form } = answer
  // Mix-up: an answer to a sign-in that was begun at another upstream.
  if (memo['connector'] !== config.id) throw rejected('it came to another connector than the one that asked')
  const { request, idp: entityId, asked: text } = memo
  // Without these less would be checked: nothing here may be optional.
  if (!request || !entityId || !text) throw rejected('the memo of this sign-in is incomplete')
  const response = form?.get('SAMLResponse')
  if (!response) throw rejected('it brought no SAMLResponse by POST')
  const idp = await saml.directory.find(entityId)
  if (!idp) throw rejected('its identity provider is no longer in the metadata')
  const asked = JSON.parse(text) as Asked
  const at = ports.now()
  const verified = await verify(saml, response, { idp, request, asked, at })
  const { subject, dropped } = subjectOf(verified, idp, { config, regex: ports.regex, entityId: ports.sp.entityId })
  if (dropped.length > 0)
    ports.log('warn', 'attributes were left out: their scope is not one of this identity provider', {
      connector: config.id,
      idp: idp.entityId,
      attributes: dropped,
    })
  const authentication = authenticationOf(config, verified, asked, { now: at, skew: SKEW })
  const proof = proofOf(config, ports, { subject: { ...subject, ...authentication }, verified, at })
  return { ...proof, once: { id: `${verified.issuer}\n${verified.assertionId}`, until: verified.goodUntil } }
}

/**
 * Verifies, and once more where none of the known keys signed and the metadata has others by now: an identity provider that takes a new
 * key into use on the day it publishes it fails nobody.
 */
async function verify(saml: Saml, response: string, exchange: Exchange): Promise<Verified> {
  let foreign = false
  const check: CheckSignature = async (signed) => {
    const bytes = await saml.check(signed)
    foreign ||= bytes === undefined
    return bytes
  }
  try {
    return await verifyResponse(response, expectedOf(saml, exchange), check)
  } catch (error) {
    const idp = foreign ? await saml.renew(exchange.idp) : undefined
    if (!idp) throw error
    return verifyResponse(response, expectedOf(saml, { ...exchange, idp }), saml.check)
  }
}

const rejected = (why: string) => new LoginError('upstream_rejected', `the upstream's answer was refused: ${why}`)
