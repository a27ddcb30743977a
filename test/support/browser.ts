import { request as plain } from 'node:http'
import { request as secure } from 'node:https'

/** A form of a page, with the values that it would send untouched. */
export interface Form {
  readonly name: string | undefined
  readonly id: string | undefined
  readonly action: URL
  readonly method: 'GET' | 'POST'
  readonly fields: Readonly<Record<string, string>>
  /** Submit buttons with a name: what each adds. */
  readonly buttons: readonly { readonly name: string; readonly value: string }[]
}

export interface Link {
  readonly href: URL
  readonly text: string
}

/** What a navigation ended at, after all redirects. */
export interface Page {
  readonly location: URL
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Every address on the way, the last one included. */
  readonly visited: readonly URL[]
  readonly forms: readonly Form[]
  readonly links: readonly Link[]
  /** The form of this name or id, or the only one. @throws where there is none, or no single one */
  form(name?: string): Form
}

export interface Cookie {
  readonly name: string
  readonly value: string
  readonly host: string
  readonly path: string
  readonly sameSite: 'strict' | 'lax' | 'none'
  readonly secure: boolean
  readonly httpOnly: boolean
  readonly hostOnly: boolean
  /** Milliseconds of the wall clock; Infinity for a session cookie. */
  readonly expires: number
}

export interface Browser {
  /** Types an address, as a person does: every cookie of the site goes along. */
  get(url: string | URL): Promise<Page>
  /** Follows a link of a page: from another site, strict cookies stay behind. */
  follow(page: Page, link: Link | URL | string): Promise<Page>
  /** Sends a form; `fields` replace and add, undefined removes. A cross-site POST carries no Lax cookie. */
  submit(page: Page, form: Form, fields?: Readonly<Record<string, string | undefined>>): Promise<Page>
  /** One request without following redirects, from a page of `from` (same site where absent). */
  send(url: URL, options?: SendOptions): Promise<Page>
  cookies(): readonly Cookie[]
  clearCookies(): void
}

export interface SendOptions {
  readonly method?: 'GET' | 'POST'
  readonly body?: URLSearchParams
  readonly from?: URL
  readonly headers?: Readonly<Record<string, string>>
}

export interface BrowserOptions {
  /** Sent with every request, such as `accept-language`. */
  readonly headers?: Readonly<Record<string, string>>
  /** Redirects are not followed onto addresses for which this says false: the page then is the redirect itself. */
  readonly stopAt?: (url: URL) => boolean
}

/**
 * A small browser with the cookie rules that sign-ins depend on: host, path, Secure, SameSite (absent means Lax), Max-Age.
 * A site is scheme and host name here; ports do not part sites, as in real browsers, so use `localhost` beside `127.0.0.1`
 * for cross-site tests. Runs no script.
 */
export function browser(options: BrowserOptions = {}): Browser {
  let jar: Cookie[] = []

  const send = async (url: URL, { method = 'GET', body, from, headers }: SendOptions = {}): Promise<Page> => {
    const crossSite = from !== undefined && site(from) !== site(url)
    const cookie = cookieHeader(jar, url, { crossSite, method })
    const answer = await transfer(url, method, body, {
      accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
      ...options.headers,
      ...headers,
      ...(cookie && { cookie }),
      ...(body && { 'content-type': 'application/x-www-form-urlencoded' }),
      ...(method === 'POST' && { origin: (from ?? url).origin }),
    })
    jar = storeCookies(jar, url, answer.setCookie)
    return toPage(url, answer)
  }

  const navigate = async (url: URL, first: SendOptions): Promise<Page> => {
    const visited: URL[] = []
    let next = url
    let how = first
    for (let hops = 0; hops < 30; hops += 1) {
      visited.push(next)
      const page = await send(next, how)
      const location = page.headers.get('location')
      const redirected = [301, 302, 303, 307, 308].includes(page.status) && location
      const target = redirected ? new URL(location, next) : undefined
      if (!target || options.stopAt?.(target)) return { ...page, visited: target ? [...visited, target] : visited }
      const keeps = page.status === 307 || page.status === 308 || how.method !== 'POST'
      // The page that began the chain stays its initiator at every hop, as Chromium has it.
      if (!keeps) how = first.from ? { from: first.from } : {}
      if (!/^https?:$/.test(target.protocol)) return { ...page, visited: [...visited, target] }
      next = target
    }
    throw new Error(`more than 30 redirects from ${url.href}`)
  }

  return {
    get: (url) => navigate(new URL(url), {}),
    follow: (page, link) => {
      const href = typeof link === 'string' ? new URL(link, page.location) : link instanceof URL ? link : link.href
      return navigate(href, { from: page.location })
    },
    submit: (page, form, fields = {}) => {
      const values = Object.entries({ ...form.fields, ...fields }).filter(
        (field): field is [string, string] => field[1] !== undefined,
      )
      const body = new URLSearchParams(values)
      if (form.method === 'POST') return navigate(form.action, { method: 'POST', body, from: page.location })
      const url = new URL(form.action)
      url.search = body.toString()
      return navigate(url, { from: page.location })
    },
    send,
    cookies: () => jar,
    clearCookies: () => {
      jar = []
    },
  }
}

const site = (url: URL) => `${url.protocol}//${url.hostname}`

interface Transferred {
  readonly status: number
  readonly headers: Headers
  readonly setCookie: readonly string[]
  readonly text: string
}

function transfer(url: URL, method: string, body: URLSearchParams | undefined, headers: Record<string, string>) {
  return new Promise<Transferred>((resolve, reject) => {
    const call = (url.protocol === 'https:' ? secure : plain)(url, { method, headers, agent: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (chunk: string) => {
        text += chunk
      })
      answer.on('error', reject)
      answer.on('end', () => {
        const setCookie = answer.headers['set-cookie'] ?? []
        const received = new Headers()
        for (const [name, values] of Object.entries(answer.headersDistinct))
          for (const value of values ?? []) received.append(name, value)
        resolve({ status: answer.statusCode ?? 0, headers: received, setCookie, text })
      })
    })
    call.on('error', reject)
    call.end(body?.toString())
  })
}

/** @see RFC 6265bis section 5.8.3 */
function cookieHeader(
  jar: readonly Cookie[],
  url: URL,
  { crossSite, method }: { crossSite: boolean; method: string },
): string {
  return jar
    .filter((cookie) => {
      const host = cookie.hostOnly ? url.hostname === cookie.host : `.${url.hostname}`.endsWith(`.${cookie.host}`)
      const path =
        url.pathname === cookie.path ||
        url.pathname.startsWith(cookie.path.endsWith('/') ? cookie.path : `${cookie.path}/`)
      const local = url.protocol === 'https:' || url.hostname === 'localhost' || url.hostname.startsWith('127.')
      const allowed = !crossSite || cookie.sameSite === 'none' || (cookie.sameSite === 'lax' && method === 'GET')
      return host && path && allowed && (!cookie.secure || local) && cookie.expires > Date.now()
    })
    .sort((a, b) => b.path.length - a.path.length)
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ')
}

/** @see RFC 6265bis section 5.7 */
function storeCookies(jar: readonly Cookie[], url: URL, lines: readonly string[]): Cookie[] {
  let kept = [...jar]
  for (const line of lines) {
    const cookie = parseCookie(url, line)
    if (!cookie) continue
    kept = kept.filter((old) => old.name !== cookie.name || old.host !== cookie.host || old.path !== cookie.path)
    if (cookie.expires > Date.now()) kept.push(cookie)
  }
  return kept
}

function parseCookie(url: URL, line: string): Cookie | undefined {
  const [pair = '', ...rest] = line.split(';')
  const at = pair.indexOf('=')
  if (at < 1) return undefined
  const attributes = new Map(
    rest.map((part) => {
      const [name = '', ...value] = part.split('=')
      return [name.trim().toLowerCase(), value.join('=').trim()] as const
    }),
  )
  const name = pair.slice(0, at).trim()
  const path = attributes.get('path')
  const domain = attributes.get('domain')?.replace(/^\./, '')
  const isSecure = attributes.has('secure')
  // __Host- and __Secure- names promise what the line must then say.
  if (name.startsWith('__Host-') && (!isSecure || domain || path !== '/')) return undefined
  if (name.startsWith('__Secure-') && !isSecure) return undefined
  if (domain && !`.${url.hostname}`.endsWith(`.${domain}`)) return undefined
  const maxAge = attributes.get('max-age')
  const expires = attributes.get('expires')
  const sameSite = attributes.get('samesite')?.toLowerCase()
  return {
    name,
    value: pair.slice(at + 1).trim(),
    host: domain ?? url.hostname,
    hostOnly: !domain,
    path: path?.startsWith('/') ? path : url.pathname.slice(0, Math.max(1, url.pathname.lastIndexOf('/'))),
    sameSite: sameSite === 'strict' || sameSite === 'none' ? sameSite : 'lax',
    secure: isSecure,
    httpOnly: attributes.has('httponly'),
    expires:
      maxAge !== undefined
        ? Date.now() + Number(maxAge) * 1000
        : expires
          ? Date.parse(expires)
          : Number.POSITIVE_INFINITY,
  }
}

function toPage(location: URL, answer: Transferred): Page {
  const html = (answer.headers.get('content-type') ?? '').includes('html')
    ? answer.text.replace(/<!--[\s\S]*?-->/g, '')
    : ''
  const forms = findForms(html, location)
  return {
    location,
    status: answer.status,
    headers: answer.headers,
    text: answer.text,
    visited: [location],
    forms,
    links: findLinks(html, location),
    form: (name) => {
      const found = name === undefined ? forms : forms.filter((form) => form.name === name || form.id === name)
      if (found.length === 1) return found[0]!
      throw new Error(
        `${found.length} forms ${name ?? ''} at ${location.href} (status ${answer.status}): ${answer.text.slice(0, 300)}`,
      )
    },
  }
}

function findForms(html: string, location: URL): readonly Form[] {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, open = '', inside = '']) => {
    const form = attributesOf(open)
    const inputs = [...inside.matchAll(/<(input|button)\b([^>]*)>/gi)].map(([, tag = '', text = '']) => {
      const found = attributesOf(text)
      return { ...found, type: (found['type'] ?? (tag.toLowerCase() === 'button' ? 'submit' : 'text')).toLowerCase() }
    })
    const named = inputs as readonly Readonly<Record<string, string>>[]
    const sent = named.filter((input) => {
      if (!input['name'] || input['disabled'] !== undefined || input['type'] === 'submit') return false
      return !['checkbox', 'radio'].includes(input['type']!) || input['checked'] !== undefined
    })
    return {
      name: form['name'],
      id: form['id'],
      action: new URL(form['action'] || location.href, location),
      method: form['method']?.toLowerCase() === 'post' ? 'POST' : 'GET',
      fields: Object.fromEntries(sent.map((input) => [input['name']!, input['value'] ?? ''])),
      buttons: named
        .filter((input) => input['type'] === 'submit' && input['name'])
        .map((input) => ({ name: input['name']!, value: input['value'] ?? '' })),
    }
  })
}

function findLinks(html: string, location: URL): readonly Link[] {
  return [...html.matchAll(/<a\b([^>]*)>([\s\S]*?)<\/a>/gi)].flatMap(([, open = '', inside = '']) => {
    const { href } = attributesOf(open) as { href?: string }
    if (href === undefined || !URL.canParse(href, location)) return []
    return [
      {
        href: new URL(href, location),
        text: decode(inside.replace(/<[^>]*>/g, ' '))
          .replace(/\s+/g, ' ')
          .trim(),
      },
    ]
  })
}

function attributesOf(text: string): Readonly<Record<string, string>> {
  const found = [...text.matchAll(/([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g)]
  return Object.fromEntries(found.map(([, name = '', a, b, c]) => [name.toLowerCase(), decode(a ?? b ?? c ?? '')]))
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' }

function decode(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|([a-z]+));/gi, (all, decimal, hex, name) => {
    if (decimal) return String.fromCodePoint(Number(decimal))
    return hex ? String.fromCodePoint(Number.parseInt(hex, 16)) : (entities[name] ?? all)
  })
}
