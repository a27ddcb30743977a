import { printable } from '../table.ts'
import {
  type CliClient,
  discovered,
  endpoint,
  type Granted,
  granted,
  type Json,
  post,
  refusal,
  type SignInPorts,
  SignInRefused,
  seconds,
  type Wanted,
} from './gateway.ts'

/** Seconds between two polls where the gateway names none, and what `slow_down` adds. @see RFC 8628 section 3.5 */
const INTERVAL = 5
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'

/**
 * Signs in by a code that the person confirms in a browser anywhere (RFC 8628).
 * @throws {SignInRefused} where she or the gateway declined, or the code ran out
 */
export async function byDevice(who: CliClient, wanted: Wanted, ports: SignInPorts): Promise<Granted> {
  const document = await discovered(who, ports)
  const start = endpoint(document, 'device_authorization_endpoint', 'sign in with --browser')
  const { status, body: device } = await post(start, { client_id: who.client, scope: wanted.scope }, ports)
  if (status !== 200) throw refusal(status, device)
  const text = (name: string) => printable(String(device[name] ?? ''))
  ports.say(`Open ${text('verification_uri_complete') || text('verification_uri')} in a browser.`)
  ports.say(`It must show the code ${text('user_code')}.`)
  const fields = {
    grant_type: DEVICE,
    client_id: who.client,
    device_code: String(device['device_code']),
    resource: wanted.resource,
  }
  return await polled(endpoint(document, 'token_endpoint'), fields, device, ports)
}

async function polled(
  url: string,
  fields: Readonly<Record<string, string | undefined>>,
  device: Json,
  ports: SignInPorts,
): Promise<Granted> {
  let pause = seconds(device['interval'], INTERVAL)
  let left = seconds(device['expires_in'], 600)
  while (left > 0) {
    await ports.sleep(pause)
    left -= pause
    const answer = await post(url, fields, ports).catch(() => undefined)
    // "On encountering a connection timeout, clients MUST unilaterally reduce their polling frequency": RFC 8628 section 3.5.
    if (answer === undefined || answer.status >= 500) pause *= 2
    else if (answer.status === 200) return granted(answer.body)
    else if (answer.body['error'] === 'slow_down') pause += INTERVAL
    else if (answer.body['error'] !== 'authorization_pending') throw refusal(answer.status, answer.body)
  }
  throw new SignInRefused('nobody confirmed the code in time; run the command again')
}
