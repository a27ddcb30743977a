import { TargetUnavailable } from '../../live.ts'
import { apiOf, type KeystoneConfig } from '../options.ts'
import type { KeystoneApi } from './api.ts'
import { refusal, withoutQuery } from './request.ts'

/** Pages of one list: more is no list of this API. */
const PAGES = 2000

interface Page {
  readonly links?: { readonly next?: unknown } | null
  readonly truncated?: unknown
}

/** Reads lists to their end; one that was cut is never taken for whole, since what is missing in it would be written or taken (law 4). */
export function openPages(config: KeystoneConfig, send: KeystoneApi['send']): KeystoneApi['rows'] {
  return async <T>(key: string, path: string, absent?: 'is empty') => {
    const what = `GET ${withoutQuery(path)}`
    const cut = (why: string) =>
      new TargetUnavailable('refused', `Keystone ${config.id} answers ${what} with a part of the list: ${why}`)
    const rows: T[] = []
    const met = new Set<unknown>()
    let next: string | undefined = path
    for (let page = 0; next !== undefined; page++) {
      if (page === PAGES) throw cut(`there are more than ${PAGES} pages; raise list_limit in its keystone.conf`)
      const { status, body } = await send('GET', next)
      if (status === 404 && absent !== undefined) return []
      if (status !== 200) throw refusal(config.id, { asks: what, status, body })
      const { [key]: found, links, truncated } = (body ?? {}) as Record<string, unknown> & Page
      if (!Array.isArray(found))
        throw new TargetUnavailable('refused', `Keystone ${config.id} answers ${what} with no list`)
      const [first] = found as readonly { readonly id?: unknown }[]
      // With a list_limit the federated users, and the users of a group, of Keystone 30 are the same again on each page.
      if (page > 0 && first !== undefined && met.has(first.id))
        throw cut('its pages repeat; raise list_limit in its keystone.conf, or take it away')
      met.add(first?.id)
      for (const row of found) rows.push(row as T) // the API's own shape; what is missing in a row is undefined to its reader
      next = nextPath(config, path, links?.next)
      if (next === 'unreadable') throw cut('where it goes on cannot be read')
      if (next === undefined && truncated === true)
        throw cut('it does not say where it goes on; raise list_limit in its keystone.conf, or take it away')
    }
    return rows
  }
}

/** The next page of the same list below our own address, whatever host Keystone takes itself for (law 1). */
function nextPath(config: KeystoneConfig, path: string, next: unknown): string | 'unreadable' | undefined {
  if (next === undefined || next === null) return undefined
  const url = typeof next === 'string' ? URL.parse(next, apiOf(config) + path) : null
  const below = url?.pathname.replace(/^.*\/v3(?=\/)/, '')
  return url && below === withoutQuery(path) ? below + url.search : 'unreadable'
}
