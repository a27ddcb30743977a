import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { browser } from './browser.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

let server: Server
let pages: Record<string, Answer> = {}
let here = ''
/** The same server under another name: another site. */
let there = ''
let carried: { path: string; method: string | undefined; cookie: string; body: string }[] = []

before(async () => {
  server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { pathname } = new URL(request.url ?? '/', here)
    carried.push({ path: pathname, method: request.method, cookie: request.headers.cookie ?? '', body })
    const answer = pages[pathname]
    answer ? answer(request, response) : response.end('ok')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  here = `http://127.0.0.1:${port}`
  there = `http://localhost:${port}`
})
beforeEach(() => {
  pages = {}
  carried = []
})
after(() => {
  server.close()
  server.closeAllConnections()
})

const html =
  (text: string): Answer =>
  (_, response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end(text)
const sets =
  (...cookies: string[]): Answer =>
  (_, response) =>
    response.writeHead(200, { 'set-cookie': cookies }).end()
const to =
  (location: string, status = 303): Answer =>
  (_, response) =>
    response.writeHead(status, { location }).end()
const last = () => carried.at(-1)!

test('cookies go back to their own host and path only', async () => {
  const tab = browser()
  pages['/set'] = sets('a=1; Path=/', 'b=2; Path=/deep', 'c=3; Path=/; Max-Age=0', 'd=4; Path=/; Domain=evil.test')
  await tab.get(`${here}/set`)
  await tab.get(`${here}/deeper`)
  assert.equal(last().cookie, 'a=1')
  await tab.get(`${here}/deep/er`)
  assert.equal(last().cookie, 'b=2; a=1')
  await tab.get(`${there}/deep`)
  assert.equal(last().cookie, '')
})

test('a __Host- cookie that breaks its promise is not kept', async () => {
  const tab = browser()
  pages['/set'] = sets('__Host-a=1; Path=/', '__Host-b=2; Path=/; Secure', '__Host-c=3; Path=/x; Secure')
  await tab.get(`${here}/set`)
  assert.deepEqual(
    tab.cookies().map(({ name }) => name),
    ['__Host-b'],
  )
})

test('a cross-site POST carries no Lax cookie, the GET after its redirect does', async () => {
  const tab = browser()
  pages['/set'] = sets('lax=1; Path=/', 'none=2; Path=/; SameSite=None; Secure', 'strict=3; Path=/; SameSite=Strict')
  pages['/form'] = html(`<form method="post" action="${here}/callback"><input name="code" value="x"></form>`)
  pages['/callback'] = to('/landed')
  await tab.get(`${here}/set`)
  const page = await tab.get(`${there}/form`)
  const end = await tab.submit(page, page.form())
  assert.deepEqual(
    carried.slice(-2).map(({ method, cookie }) => `${method} ${cookie}`),
    ['POST none=2', 'GET lax=1; none=2'],
  )
  assert.equal(end.location.href, `${here}/landed`)
  const same = await tab.get(`${here}/form`)
  await tab.submit(same, same.form(), { more: 'y', code: undefined })
  assert.equal(carried.at(-2)?.cookie, 'lax=1; none=2; strict=3')
  assert.equal(carried.at(-2)?.body, 'more=y')
})

test('307 keeps the POST, 303 does not, and a chain without end is an error', async () => {
  const tab = browser()
  pages['/form'] = html('<form method="POST" action="/keep"><input name="a" value="b"></form>')
  pages['/keep'] = to('/kept', 307)
  pages['/loop'] = to('/loop')
  const page = await tab.get(`${here}/form`)
  const end = await tab.submit(page, page.form())
  assert.deepEqual([last().method, last().body], ['POST', 'a=b'])
  assert.deepEqual(
    end.visited.map(({ pathname }) => pathname),
    ['/keep', '/kept'],
  )
  await assert.rejects(tab.get(`${here}/loop`), /redirects/)
})

test('a browser stops where it was told to and shows the redirect itself', async () => {
  const tab = browser({ stopAt: (url) => url.hostname === 'app.test' })
  pages['/go'] = to('https://app.test/cb?code=1')
  const page = await tab.get(`${here}/go`)
  assert.equal(page.status, 303)
  assert.equal(page.visited.at(-1)?.href, 'https://app.test/cb?code=1')
})

test('forms are read as a browser reads them: entities, checked boxes, named buttons', async () => {
  pages['/form'] = html(`<form id="f" action="?x=1&amp;y=2"><input type=hidden name="q" value="&quot;a&amp;b&quot;">
    <input type="checkbox" name="no" value="1"><input type="checkbox" name="yes" value="1" checked>
    <input name="off" value="1" disabled><button name="act" value="go">Go</button></form><!-- <form></form> -->
    <a href="/next?a=1&amp;b=2"><b>Next</b> page</a>`)
  const tab = browser()
  const page = await tab.get(`${here}/form`)
  const form = page.form('f')
  assert.deepEqual(form.fields, { q: '"a&b"', yes: '1' })
  assert.deepEqual(form.buttons, [{ name: 'act', value: 'go' }])
  assert.equal(form.action.href, `${here}/form?x=1&y=2`)
  assert.deepEqual(
    page.links.map(({ text, href }) => [text, href.search]),
    [['Next page', '?a=1&b=2']],
  )
  const sent = await tab.submit(page, form, { act: 'go' })
  assert.equal(sent.location.search, `?${new URLSearchParams({ q: '"a&b"', yes: '1', act: 'go' })}`)
  assert.throws(() => page.form('other'), /0 forms other/)
})
