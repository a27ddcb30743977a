import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

/** IPv4 in the IPv6 form of a dual-stack socket (`::ffff:10.0.0.1`) as plain IPv4; ports and brackets of a hop cut off. */
function plainAddress(text: string): string | undefined {
  const hop = text.trim()
  const bare = hop.replace(/^\[([^\]]*)\](?::\d{1,5})?$/, '$1').replace(/^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/, '$1')
  const address = bare.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '')
  return isIP(address) === 0 ? undefined : address.toLowerCase()
}

/**
 * Reads `trustedProxies`: addresses (`10.0.0.1`, `::1`) and networks (`10.0.0.0/8`, `fd00::/8`).
 * The answer says whether an address, also in IPv4-mapped form, is among them.
 * @throws {RangeError} where an entry is neither
 */
export function parseTrusted(list: readonly string[]): (address: string) => boolean {
  const trusted = new BlockList()
  for (const entry of list) {
    const [, text = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? []
    const address = plainAddress(text)
    const size = address !== undefined && isIP(address) === 4 ? 32 : 128
    const prefix = bits === undefined ? size : Number(bits)
    if (address === undefined || prefix > size) {
      throw new RangeError(`not an address or network: ${entry}; write 10.0.0.1, 10.0.0.0/8 or fd00::/8`)
    }
    trusted.addSubnet(address, prefix, size === 32 ? 'ipv4' : 'ipv6')
  }
  return (text) => {
    const address = plainAddress(text)
    return address !== undefined && trusted.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
  }
}

/**
 * Who asked: the connection's own address, or, while that one is trusted, the hop before it, read from the right, so that
 * nothing a client wrote itself is believed. A hop that is no address ends the walk at the proxy that wrote it.
 */
function clientAddress(remote: string, forwarded: string, trusted: (address: string) => boolean): string {
  let client = plainAddress(remote) ?? ''
  const hops = forwarded === '' ? [] : forwarded.split(',')
  while (trusted(client) && hops.length > 0) {
    const hop = plainAddress(hops.pop() ?? '')
    if (hop === undefined) break
    client = hop
  }
  return client
}

/**
 * What one guesser has: an address, or of IPv6 the /64 that every subscriber gets, in which addresses are free to choose.
 * @param address of IPv4 or IPv6; anything else stays as it is
 */
export function subscriberOf(address: string): string {
  if (isIP(address) !== 6) return address
  const [left = '', right = ''] = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1).split('::')
  const [head, tail] = [left, right].map((part) => (part === '' ? [] : part.split(':'))) as [string[], string[]]
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0')
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(':')}::/64`
}

/** Parameters of a query; nobody sends more than some thirty. */
const MOST = 200

/**
 * A query of more parameters than anybody sends is read as none: koa reads one in a time that grows with the square of their number, and
 * 16,000 fit into a request.
 * @see https://github.com/koajs/koa/blob/v3.3.0/lib/search-params.js
 */
const boundedQuery = (target: string): string =>
  target.split('&', MOST + 1).length > MOST ? target.replace(/\?.*$/s, '') : target

/** `http://evil/x?y` and `//evil/x` (RFC 9112 §3.2.2) as the path that a router sees: never a host. */
function targetPath(target: string): string {
  const rest = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#\\]*/i, '').replace(/#.*$/, '')
  return boundedQuery(`/${rest.replace(/^[/\\]+/, '')}`.replace(/^\/\*$/, '/'))
}

/**
 * Makes a request look as if it had come to the issuer's own origin, before any framework sees it (law 1): koa and
 * oidc-provider build URLs and decide about `Secure` cookies from `Host`, `X-Forwarded-*` and an absolute request target.
 * Afterwards `X-Forwarded-For` holds one address, so every app runs with `proxy = true`.
 * @param request changed in place; not changed are `rawHeaders`, which nothing of ours reads
 */
export function pinOrigin(
  request: IncomingMessage,
  options: { readonly issuer: URL; readonly trusted: (address: string) => boolean },
): void {
  const { headers } = request
  const forwarded = headers['x-forwarded-for'] ?? ''
  const client = clientAddress(request.socket.remoteAddress ?? '', String(forwarded), options.trusted)
  for (const name of Object.keys(headers)) if (name.startsWith('x-forwarded-')) delete headers[name]
  delete headers.forwarded
  headers.host = options.issuer.host
  headers['x-forwarded-proto'] = options.issuer.protocol.slice(0, -1)
  if (client !== '') headers['x-forwarded-for'] = client
  request.url = targetPath(request.url ?? '/')
}
