import { isDeepStrictEqual } from 'node:util'
import { signInAs, signInByWallet } from './pages.ts'
import { mailOf } from './people.ts'
import { type Claims, grantsIn, type Jwks, jwksUrl, payloadOf, signedBy } from './tokens.ts'
import { openVisitor, type Page, type Visitor } from './visitor.ts'
import type { World } from './world.ts'

/** How a check went. */
export interface Tally {
  readonly passed: number
  readonly failed: number
}

interface Walk {
  readonly world: World
  readonly visitor: Visitor
  readonly say: (line: string) => void
  /** One finding: what should be so, and what was seen where it is not. */
  expect(what: string, holds: boolean, saw?: unknown): void
}

/** What each person of config/demo.yaml must hold in the end, as the targets read it out of her tokens; none: refused. */
const expected: Readonly<Record<string, readonly string[]>> = {
  ada: ['cloud project web in corp: member', 'prod namespace web: edit', 'grafana group team-web'],
  ben: ['cloud project db in corp: manager, member', 'prod namespace db: admin', 'grafana group team-db'],
  cleo: [],
  dana: ['cloud project support in d4711: reader', 'cloud project support in d4712: reader'],
  eva: [
    'cloud project bio-genomics in campus: manager, member',
    'prod namespace sandbox: edit',
    'grafana group campus:bio-genomics',
  ],
  finn: [],
  greta: ['cloud project visitors in campus: member'],
}

/**
 * Walks through the demo without a browser: every person signs in, then refresh, device flow and sign-out.
 * @param say takes one line of the report
 */
export async function checkDemo(world: World, say: (line: string) => void): Promise<Tally> {
  let [passed, failed] = [0, 0]
  const expect = (what: string, holds: boolean, saw?: unknown) => {
    if (holds) passed++
    else failed++
    say(`${holds ? '  ok  ' : '  NOT '} ${what}${holds || saw === undefined ? '' : `; saw ${JSON.stringify(saw)}`}`)
  }
  const walk = (): Walk => ({ world, visitor: openVisitor(), say, expect })
  const steps: readonly (readonly [string, (walk: Walk) => Promise<void>])[] = [
    ['The start page', startPage],
    ...Object.keys(expected).map((sub) => [`${sub} signs in`, (walk: Walk) => person(walk, sub)] as const),
    ['ada shows her wallet', wallet],
    ['ada shows a credential that was revoked', revoked],
    ['The same browser comes back', comeBack],
    ['The same browser comes back with another person', another],
    ['A command line without a browser', device],
  ]
  for (const [name, step] of steps) {
    say(name)
    await step(walk()).catch((error: unknown) => expect('goes through', false, String(error)))
  }
  return { passed, failed }
}

async function startPage({ world, visitor, expect }: Walk): Promise<void> {
  const page = await visitor.get(world.web)
  const people = world.organisations.flatMap((each) => each.people)
  const missing = people.filter(({ name }) => !page.text.includes(name)).map(({ name }) => name)
  expect(`shows ${people.length} people of ${world.organisations.length} organisations`, missing.length === 0, missing)
}

/** From the start page to the organisation's sign-in, one click there, and on to wherever that leads. */
async function signIn({ world, visitor }: Walk, sub: string): Promise<Page> {
  for (const organisation of world.organisations) {
    const found = organisation.people.find((one) => one.sub === sub)
    if (!found) continue
    const asked = await visitor.get(new URL(signInAs(mailOf(organisation, found)), world.web))
    return click({ visitor }, asked, sub)
  }
  throw new Error(`nobody is called ${sub}`)
}

/**
 * Clicks a person at her organisation, and submits what a browser submits by itself: the end of another person's session
 * there, and an answer by form_post.
 */
async function click({ visitor }: Pick<Walk, 'visitor'>, at: Page, sub: string): Promise<Page> {
  const form = at.forms.find(({ fields }) => fields['person'] === sub)
  if (!form) throw new Error(`no sign-in page, but ${at.status} "${at.heading}"`)
  const clicked = await visitor.submit(form)
  const ending = clicked.forms.find(({ fields }) => 'xsrf' in fields && 'logout' in fields)
  const page = ending ? await visitor.submit(ending) : clicked
  const answer = page.forms.find(({ fields }) => 'code' in fields && 'state' in fields)
  return answer ? visitor.submit(answer) : page
}

async function person(walk: Walk, sub: string): Promise<void> {
  const { say, expect } = walk
  const wanted = expected[sub] ?? []
  const page = await signIn(walk, sub)
  if (wanted.length === 0) return refused(walk, page)
  const got = grantsOn(walk, page)
  for (const line of got) say(`         ${line}`)
  expect('gets just that', isDeepStrictEqual(got, wanted), { got, page: page.heading })
  const unsigned = page.text.includes('Signed by no key')
  expect('in tokens that the published keys have signed', !unsigned && got.length > 0)
}

/** What the tokens on the page of somebody signed in say, each as its target reads it. */
function grantsOn({ world }: Pick<Walk, 'world'>, page: Page): readonly string[] {
  return world.targets.flatMap(({ id }) => {
    const claims = page.byId(`claims-${id}`)
    return claims === undefined ? [] : grantsIn(id, JSON.parse(claims) as Claims)
  })
}

/** The gateway's own page tells the person; the way on from there tells the application, with no more than an error code. */
async function refused({ world, visitor, say, expect }: Walk, page: Page): Promise<void> {
  say(`         nothing: ${page.heading}`)
  const here = page.status === 403 && page.url.origin === world.issuer
  expect('is told so by the gateway', here, { status: page.status, url: page.url.href })
  const leave = page.links.find(({ pathname }) => pathname.endsWith('/leave'))
  const after = await visitor.get(leave ?? page.url)
  expect('and the dashboard hears access_denied', after.url.href === `${world.web}/refused`, after.url.pathname)
}

/** From the start page to the wallet, one click there, and on to wherever that leads. */
async function show({ world, visitor }: Pick<Walk, 'world' | 'visitor'>, credential: string): Promise<Page> {
  const waiting = await visitor.get(new URL(signInByWallet, world.web))
  const link = waiting.links.find(({ origin }) => origin === world.wallet)
  if (!link) throw new Error(`no way to the wallet, but ${waiting.status} "${waiting.heading}"`)
  const asked = await visitor.get(link)
  const form = asked.forms.find(({ fields }) => fields['credential'] === credential)
  if (!form) throw new Error(`the wallet has no such credential, but ${asked.status} "${asked.heading}"`)
  return visitor.submit(form)
}

async function wallet(walk: Walk): Promise<void> {
  const page = await show(walk, 'corp')
  const got = grantsOn(walk, page)
  for (const line of got) walk.say(`         ${line}`)
  const wanted = ['cloud project shared in gaiax: member', 'prod namespace sandbox: edit']
  walk.expect('gets what a developer of either organisation gets', isDeepStrictEqual(got, wanted), {
    got,
    page: page.heading,
  })
}

async function revoked({ world, visitor, say, expect }: Walk): Promise<void> {
  const page = await show({ world, visitor }, 'campus')
  say(`         nothing: ${page.heading}`)
  const saw = { status: page.status, url: page.url.href }
  expect('is refused, though the credential says the same', page.status === 403, saw)
}

/** Single sign-on, refresh, and the end of both by signing out. */
async function comeBack(walk: Walk): Promise<void> {
  const { world, visitor, expect } = walk
  const first = await signIn(walk, 'ada')
  const again = await visitor.get(`${world.web}/sign-in`)
  expect('is signed in without being asked again', again.url.pathname === '/you', again.heading)
  const id = (page: Page) => (JSON.parse(page.byId('claims-prod') ?? '{}') as Claims)['jti']
  const fresh = await visitor.submit(again.forms.find(({ action }) => action.pathname === '/refresh'))
  const renewed = isDeepStrictEqual(grantsOn(walk, fresh), grantsOn(walk, first)) && id(fresh) !== id(again)
  expect('gets new tokens that give the same', renewed, { before: id(again), after: id(fresh) })
  const confirm = await visitor.submit(fresh.forms.find(({ action }) => action.pathname === '/sign-out'))
  const out = await visitor.submit(confirm.forms[0], { logout: 'yes' })
  expect('signs out, and is back at the start page', out.url.href === `${world.web}/`, out.url.href)
  const after = await visitor.get(`${world.web}/sign-in`)
  expect('and is asked again afterwards', after.url.origin === world.issuer, after.heading)
}

/** Somebody else of the same organisation, as on a shared computer: hers is all that remains. */
async function another(walk: Walk): Promise<void> {
  await signIn(walk, 'ada')
  const page = await signIn(walk, 'ben')
  walk.expect('gets what ben gets, and nothing of ada', isDeepStrictEqual(grantsOn(walk, page), expected['ben']), {
    got: grantsOn(walk, page),
    page: page.heading,
  })
}

/** RFC 8628, with the very requests of the commands on the start page. */
async function device(walk: Walk): Promise<void> {
  const { world, visitor, say, expect } = walk
  const post = async (path: string, fields: Readonly<Record<string, string>>) => {
    const body = new URLSearchParams({ client_id: 'demo-cli', ...fields })
    return (await (await fetch(new URL(path, world.issuer), { method: 'POST', body })).json()) as Claims
  }
  const asked = await post('/device/auth', {})
  const poll = () =>
    post('/token', {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: String(asked['device_code']),
    })
  const early = await poll()
  expect('waits for the person', early['error'] === 'authorization_pending', early)
  const entry = await visitor.get(String(asked['verification_uri_complete']))
  const confirm = await visitor.submit(entry.forms[0])
  const form = confirm.forms.find(({ fields }) => 'user_code' in fields)
  const chooser = await visitor.submit(form, { confirm: 'yes' })
  const corp = chooser.links.find(({ searchParams }) => searchParams.get('connector') === 'corp')
  const done = await click(walk, await visitor.get(corp ?? chooser.url), 'ada')
  expect('ada confirms the code and signs in', done.status === 200 && done.url.origin === world.issuer, done.heading)
  const tokens = await poll()
  const token = String(tokens['access_token'])
  const got = tokens['error'] === undefined ? grantsIn('prod', payloadOf(token)) : []
  for (const line of got) say(`         ${line}`)
  expect('gets a token for the cluster', isDeepStrictEqual(got, ['prod namespace web: edit']), tokens['error'])
  const keys = async (ring: string) => (await (await fetch(jwksUrl(world.issuer, ring))).json()) as Jwks
  const [own, cloud] = [await keys('issuer'), await keys('keystone-cloud')]
  expect('signed by a key that the cluster finds', signedBy(token, own))
  expect('and by none that the OpenStack cloud trusts', !signedBy(token, cloud))
  const twice = await poll()
  expect('and only once', twice['error'] === 'invalid_grant', twice['error'])
}
