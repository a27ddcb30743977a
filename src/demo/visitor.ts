/** A form of a page, with what it sends unless something else is said. */
export interface Form {
  readonly action: URL
  readonly method: 'GET' | 'POST'
  readonly fields: Readonly<Record<string, string>>
}

/** Where a walk of redirects ended. */
export interface Page {
  readonly url: URL
  readonly status: number
  readonly text: string
  readonly heading: string
  readonly forms: readonly Form[]
  /** Addresses of links, in the order of the page. */
  readonly links: readonly URL[]
  /** The text of an element without others inside, by its id. */
  byId(id: string): string | undefined
}

/** Somebody with a browser of the simplest kind: it keeps cookies, follows redirects and reads forms. */
export interface Visitor {
  get(url: URL | string): Promise<Page>
  submit(form: Form | undefined, fields?: Readonly<Record<string, string>>): Promise<Page>
}

/** Redirects in one walk; a sign-in takes eight. */
const LONGEST_WALK = 20

interface Cookie {
  readonly name: string
  readonly value: string
  readonly path: string
}

/** A visitor for the demo's own check: one host, so cookies are kept by name and path alone. */
export function openVisitor(): Visitor {
  let jar: readonly Cookie[] = []
  const walk = async (
    start: URL,
    init: { readonly method: string; readonly body?: URLSearchParams },
  ): Promise<Page> => {
    let url = start
    let next: typeof init = init
    for (let step = 0; step < LONGEST_WALK; step++) {
      const cookies = jar.filter(
        ({ path }) => url.pathname === path || url.pathname.startsWith(path.replace(/\/?$/, '/')),
      )
      const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
      const origin = next.method === 'POST' ? { origin: url.origin } : {}
      const response = await fetch(url, { ...next, redirect: 'manual', headers: { cookie, ...origin } })
      jar = kept(jar, url, response.headers.getSetCookie())
      const to = response.headers.get('location')
      if (to === null) return pageOf(url, response.status, await response.text())
      await response.body?.cancel()
      url = new URL(to, url)
      next = { method: 'GET' }
    }
    throw new Error(`more than ${LONGEST_WALK} redirects, the last to ${url.origin}${url.pathname}`)
  }
  return {
    get: (url) => walk(new URL(url), { method: 'GET' }),
    submit(form, fields = {}) {
      if (form === undefined) throw new Error('the page has no such form')
      const body = new URLSearchParams({ ...form.fields, ...fields })
      if (form.method === 'POST') return walk(form.action, { method: 'POST', body })
      const url = new URL(form.action)
      url.search = body.toString()
      return walk(url, { method: 'GET' })
    },
  }
}

function kept(jar: readonly Cookie[], url: URL, lines: readonly string[]): readonly Cookie[] {
  let all = [...jar]
  for (const line of lines) {
    const [, name = '', value = ''] = /^([^=;]+)=([^;]*)/.exec(line) ?? []
    const path = /;\s*path=([^;]*)/i.exec(line)?.[1] ?? url.pathname.replace(/\/[^/]*$/, '/')
    const over = /;\s*expires=Thu, 01 Jan 1970|;\s*max-age=0/i.test(line) || value === ''
    all = all.filter((old) => old.name !== name || old.path !== path)
    if (!over) all.push({ name, value, path })
  }
  return all
}

function pageOf(url: URL, status: number, text: string): Page {
  const forms = [...text.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, open = '', inside = '']): Form => {
    const { action, method } = attributes(open)
    const inputs = [...inside.matchAll(/<input\b([^>]*)>/gi)].map(([, one = '']) => attributes(one))
    return {
      action: new URL(action || url.href, url),
      method: method?.toLowerCase() === 'post' ? 'POST' : 'GET',
      fields: Object.fromEntries(inputs.flatMap(({ name, value = '' }) => (name === undefined ? [] : [[name, value]]))),
    }
  })
  const links = [...text.matchAll(/<a\b([^>]*)>/gi)].flatMap(([, open = '']) => {
    const { href = '' } = attributes(open)
    return URL.canParse(href, url) ? [new URL(href, url)] : []
  })
  const heading = decoded(/<h1[^>]*>([\s\S]*?)<\/h1>/i.exec(text)?.[1] ?? '').trim()
  const byId = (id: string) => {
    const inside = new RegExp(`<[a-z]+ [^>]*id="${id}"[^>]*>([^<]*)<`).exec(text)?.[1]
    return inside === undefined ? undefined : decoded(inside)
  }
  return { url, status, text, heading, forms, links, byId }
}

function attributes(
  open: string,
): Readonly<Record<'action' | 'method' | 'name' | 'value' | 'href', string | undefined>> {
  const found = [...open.matchAll(/([a-z-]+)="([^"]*)"/gi)].map(([, name = '', value = '']) => [name, decoded(value)])
  return Object.fromEntries(found) as ReturnType<typeof attributes>
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"' }

function decoded(text: string): string {
  return text.replace(/&(?:#(\d+)|([a-z]+));/g, (all, number, name) =>
    number ? String.fromCodePoint(Number(number)) : (entities[name] ?? all),
  )
}
