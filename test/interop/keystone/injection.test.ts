import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { Grant } from '../../../src/core/decision.ts'
import { browser } from '../../support/browser.ts'
import type { Person } from '../../support/oidc-idp.ts'
import { tokensOf } from '../../support/sign-in.ts'
import { badName, chance } from '../../targets/world.ts'
import { atEach } from './both.ts'
import { ask, type Told } from './cloud.ts'
import { exchange, groupsOf, signInAt } from './websso.ts'
import type { World } from './world.ts'

const COUNT = process.env['SOAK'] === 'full' ? 400 : 66

/** What the pieces of a name would become where somebody took it apart: groups that exist. */
const decoys = 'a b ops x name web prod admin masters system JSON null user namespace-admins {0} d corp root 1 ß'.split(
  ' ',
)

const random = chance(20_261_128)
const { below, pick } = random

/** A claim's text: a bad name, or a piece of a header or a mapping. */
function text(): string {
  const kind = below(12)
  if (kind === 0) return `${badName(random)};JSON:{"name":"ops","domain":{"name":"corp"}}`
  if (kind === 1) return `x"},{"name":"ops","roles":[{"name":"admin"}]},{"name":"y`
  if (kind === 2) return `${badName(random)}\r\nOIDC-groups: ops`
  if (kind === 3) return 'ops,'.repeat(250)
  return badName(random)
}

const some = (most: number, make: () => string) => Array.from({ length: below(most + 1) }, make)

const people: readonly Person[] = Array.from({ length: COUNT }, (_, at) => ({
  sub: `p${at}`,
  claims: {
    preferred_username: `${text().slice(0, 200)}${at}`,
    name: text(),
    email: pick([`p${at}@corp.example`, `${badName(random)}@corp.example`, text()]),
    groups: [
      '/teams/web/dev',
      ...some(4, () => pick([text(), `/teams/${text()}/${pick(['dev', 'lead', 'reader', text()])}`])),
    ],
    plain: some(3, () => pick([text(), `g-${text()}`, `team ${below(9)}`])),
    openstack_projects: `[{"name":"ops","domain":{"name":"corp"},"roles":[{"name":"admin"}]}]`,
    // What the gateway does not take at all.
    ...(at % 15 === 14 ? { note: 'ops;'.repeat(5000) } : {}),
    openstack_user_domain: 'Default',
    iss: 'https://evil.example',
  },
}))

interface Foretold {
  readonly decision: { readonly grants: readonly Grant[] }
  readonly targets: readonly { readonly names: readonly string[]; readonly unsayable?: string }[]
}

/** Everything that Keystone has for somebody who signed in, in the words of `lotse explain`. */
async function seen(world: World, told: Told): Promise<readonly string[]> {
  const { user } = told.body.token
  const groups = (await groupsOf(world, told)).map((name) => `group ${name} in domain corp`)
  const roles = new Map<string, string[]>()
  for (const given of await world.cloud.grants(user.id)) {
    const place = `project ${given.project} in domain ${given.domain}`
    roles.set(place, [...(roles.get(place) ?? []), given.role].sort())
  }
  const projects = [...roles].map(([place, names]) => `${place}: ${names.join(', ')}`)
  return [`user ${user.name} in domain ${user.domain.name}`, ...groups, ...projects].sort()
}

atEach({ people }, (world) => {
  before(async () => {
    for (const name of decoys) await world().cloud.group('corp', name)
  })

  test(`${COUNT} people whose claims are made to break out have at Keystone what the decision gives, and nothing else`, async (t) => {
    const made = new Set(decoys)
    let [entered, groups, projects, refused] = [0, 0, 0, 0]
    for (const { sub, claims } of people) {
      const foretold = await world()
        .explain<Foretold>({ sub, ...claims })
        .catch(() => undefined)
      const { names = [], unsayable } = foretold?.targets[0] ?? {}
      for (const grant of foretold?.decision.grants ?? [])
        if ('group' in grant && names.includes(`group ${grant.group} in domain corp`) && !made.has(grant.group)) {
          made.add(grant.group)
          await world().cloud.group('corp', grant.group)
        }
      const token = await tokensOf(world().gateway, 'openstack', sub).catch(() => undefined)
      if (token === undefined) {
        refused += 1
        assert.ok(names.length < 2 || unsayable !== undefined, `${sub} was refused: ${JSON.stringify(names)}`)
        continue
      }
      const told = await exchange(world(), token.access_token)
      assert.equal(told.status, 201, `${sub}: ${JSON.stringify([told.body, names])}`)
      assert.deepEqual(await seen(world(), told), [...names].sort(), sub)
      if (entered % 5 === 0)
        assert.deepEqual(await seen(world(), await byBrowser(world(), sub)), [...names].sort(), sub)
      entered += 1
      groups += names.filter((name) => name.startsWith('group ')).length
      projects += names.filter((name) => name.startsWith('project ')).length
    }
    t.diagnostic(
      `${entered} signed in with ${groups} groups and ${projects} projects; ${refused} were refused by the gateway`,
    )
    assert.ok(entered >= COUNT * 0.75 && groups > COUNT, 'those who are refused prove little')
  })
})

/** The same person by browser: her token, read again as Keystone tells it. */
async function byBrowser(world: World, person: string): Promise<Told> {
  const token = await signInAt(world, browser(), person)
  const headers = { 'x-auth-token': token, 'x-subject-token': token }
  return await ask(`${world.keystone.url}/v3/auth/tokens`, { headers })
}
