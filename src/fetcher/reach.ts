import { lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { inNetworks, isLoopback, isPublicAddress } from './addresses.ts'
import { FetchError } from './error.ts'

/** Where requests may go. */
export interface ReachOptions {
  /**
   * `configured`: the addresses come from the operator's configuration, and private ones are usual (a company's own IdP).
   * `public`: they come from outside (did:web, status lists, a client's URIs), and only public addresses are reached.
   */
  readonly reach: 'configured' | 'public'
  /** Host names (no port) whose addresses may be private all the same; over http only where they are loopback. */
  readonly allowPrivate?: readonly string[]
  /** Networks (CIDR) that are reached by https though they are private. */
  readonly privateNetworks?: readonly string[]
}

/** Whether an address may be connected to. */
type Judge = (address: string) => boolean

/**
 * Checks an URL, and gives the lookup that its connection is to be made with, which checks what the name resolves to.
 * @throws {FetchError} `FETCH_SCHEME`, `FETCH_ADDRESS`
 */
export function createGuard(options: ReachOptions): (url: URL) => LookupFunction {
  const allowed = new Set((options.allowPrivate ?? []).map((host) => host.toLowerCase()))
  const listed = inNetworks(options.privateNetworks ?? [])
  const isOpen: Judge = (address) => isPublicAddress(address) || listed(address)
  return (url) => {
    const mayBePrivate = options.reach === 'configured' || allowed.has(bare(url))
    const judge: Judge = mayBePrivate ? () => true : isOpen
    checkAddress(url, mayBePrivate, judge)
    return checkedLookup(url.protocol === 'http:' ? isLoopback : judge)
  }
}

/** The host without the brackets of an IPv6 address. */
const bare = (url: URL) => url.hostname.replace(/^\[|\]$/g, '')

/** What can be said before any name is resolved. */
function checkAddress(url: URL, mayBePrivate: boolean, isOpen: Judge) {
  const host = bare(url)
  const plain =
    url.protocol === 'http:' && mayBePrivate && (host === 'localhost' || (isIP(host) > 0 && isLoopback(host)))
  if (url.protocol !== 'https:' && !plain) throw new FetchError('FETCH_SCHEME', `${url.origin} is not https`)
  if (url.username || url.password) throw new FetchError('FETCH_SCHEME', `${url.origin} comes with a user name`)
  // An address that is written out is not looked up: it is judged here.
  if (isIP(host) && !isOpen(host)) throw new FetchError('FETCH_ADDRESS', `${host} is no public address`)
}

/** The check stands in the lookup of the connection itself: there is no second resolution that could differ. */
function checkedLookup(fits: Judge): LookupFunction {
  return (host, { all, ...options }, callback) => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '')
      const wrong = addresses.find(({ address }) => !fits(address))
      if (wrong)
        return callback(new FetchError('FETCH_ADDRESS', `${host} resolves to ${wrong.address}, no public address`), '')
      if (all) return callback(null, addresses)
      return callback(null, addresses[0]?.address ?? '', addresses[0]?.family)
    })
  }
}
