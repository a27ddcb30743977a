import type { Subject } from '../core/subject.ts'
import { type Html, html } from '../http/pages/html.ts'
import type { Page, Theme } from '../http/pages/index.ts'
import { layout } from '../http/pages/layout.ts'
import { chart, explained, grantList } from './chart.ts'
import { deviceCommands } from './commands.ts'
import { mailOf, type Organisation, type Person, subjectOf } from './people.ts'
import { demoLook } from './style.ts'
import type { Held } from './wallet/held.ts'
import type { World } from './world.ts'

const theme: Theme = { look: demoLook({ name: 'Lotse demo' }), language: 'en' }

/** The links by which somebody signs in; `fresh` asks again even where somebody is signed in already. */
export const signInAs = (mail: string) => `/sign-in?fresh=yes&hint=${encodeURIComponent(mail)}`

/** A page of the demo's own client, in its look. */
export function demoPage(content: Parameters<typeof layout>[1]): Page {
  return layout(theme, { width: 'wide', ...content })
}

/** Who becomes what, and where, in a glance; with ways to try it. */
export function startPage(world: World): Page {
  return demoPage({
    heading: 'Who becomes what, and where',
    card: html`<p class="lead">Two organisations say who somebody is, themselves or by a credential in a wallet; one file of rules says what that means; three systems get a token each. All of it runs on this machine until you press Ctrl-C.</p>
<ol class="path">
<li><strong>What was said</strong>Corp AG and Example University sign their people in.</li>
<li><strong>What the rules say</strong><a href="/config">config/demo.yaml</a> turns claims into projects, namespaces and groups.</li>
<li><strong>What you get</strong>Tokens for an OpenStack cloud, a Kubernetes cluster and Grafana.</li>
</ol>
${world.organisations.map((organisation) => people(world, organisation))}
${wallet(world)}`,
    below: html`${commandLine(world)}${behind(world)}`,
  })
}

function people(world: World, organisation: Organisation): Html {
  return html`<h2 class="org">${organisation.name}</h2>
<ul class="people">${organisation.people.map((person) => line(world, organisation, person))}</ul>`
}

function line(world: World, organisation: Organisation, person: Person): Html {
  const { decision } = explained(world, subjectOf(organisation, person, world.now()))
  const [first = ''] = person.name.split(' ')
  const said = Object.entries(person.claims).map(
    ([name, values]) =>
      html`<dt>${name}</dt><dd>${[values].flat().map((value) => html`<span class="tag">${value}</span>`)}</dd>`,
  )
  return html`<li><div><h3>${person.name}</h3><p>${person.role}</p><a class="why" href="${`/who/${person.sub}`}">Why?</a></div>
<dl>${said}</dl>
<div>${grantList(decision)}</div>
<a class="button" href="${signInAs(mailOf(organisation, person))}">Sign in<span class="sr"> as ${first}</span></a></li>`
}

/** The link by which somebody signs in with the wallet, whoever is signed in already. */
export const signInByWallet = '/sign-in?fresh=yes&connector=gaiax'

function wallet(world: World): Html {
  return html`<h2 class="org">A wallet</h2>
<p>Ada has <a href="${world.wallet}">a wallet</a> with a credential of each organisation. Both say the same, and their issuers say by which they still stand.</p>
<ul class="people">${world.held.map((one) => credentialLine(world, one))}</ul>
<div class="bar"><a class="button" href="${signInByWallet}">Sign in with the wallet</a></div>`
}

function credentialLine(world: World, { title, organisation, claims, standing }: Held): Html {
  const said = Object.entries(claims).map(([name, value]) => [name, [value]] as const)
  const subject = {
    connector: 'gaiax',
    id: 'wallet',
    claims: Object.fromEntries(said),
    records: {},
    authTime: world.now(),
  }
  const given =
    standing === 'revoked'
      ? html`<ul class="list no"><li>Nothing: its issuer revoked it</li></ul>`
      : grantList(explained(world, subject).decision)
  return html`<li><div><h3>${title}</h3><p>${organisation}</p></div><dl>${said.map(
    ([name, [value]]) => html`<dt>${name}</dt><dd><span class="tag">${value}</span></dd>`,
  )}</dl><div>${given}</div></li>`
}

function commandLine(world: World): Html {
  const [ask, fetchTokens] = deviceCommands(world)
  return html`<section class="card"><h2>On the command line</h2>
<p>A program without a browser uses the device flow. Paste this into a shell:</p>
<ol class="steps"><li>${ask.what}<pre>${ask.command}</pre></li>
<li>Open the <span class="mono">verification_uri_complete</span> of the answer, or <a href="${`${world.issuer}/device`}">${`${world.issuer}/device`}</a> and type the code. Ada and Ben get something at the cluster, for which this program asks.</li>
<li>${fetchTokens.what}<pre>${fetchTokens.command}</pre></li></ol></section>`
}

function behind({ issuer }: World): Html {
  const link = (path: string, what: string) => html`<li><a href="${issuer + path}">${path}</a> ${what}</li>`
  return html`<section class="card"><h2>Look behind</h2>
<p>Or begin without a name: <a href="/sign-in">choose your organisation</a>, as people do at a real cloud. Who is signed in already is not asked again.</p>
<ul class="steps">
<li><a href="/config">config/demo.yaml</a>, the whole configuration as it runs now</li>
${link('/.well-known/openid-configuration', 'is what clients discover')}
${link('/jwks', 'has the keys of ID tokens and of tokens for the cluster and Grafana')}
${link('/jwks/keystone-cloud', 'has those of the OpenStack cloud, which sign nothing else')}
</ul></section>`
}

/** One person before the sign-in: what will be said, and what the rules will say to it. */
export function whoPage(world: World, organisation: Organisation, person: Person): Page {
  const [first = ''] = person.name.split(' ')
  return demoPage({
    heading: person.name,
    card: html`<p>${person.role} at ${organisation.name}. This is what the rules say to it before anybody has signed in; <span class="mono">lotse explain</span> prints the same in a terminal.</p>
${chart(world, subjectOf(organisation, person, world.now()))}
<div class="bar"><a class="button" href="${signInAs(mailOf(organisation, person))}">Sign in as ${first}</a><a class="button even" href="/">All people</a></div>`,
  })
}

/** Where to find somebody by the name in a link. */
export function findPerson(world: World, sub: string): readonly [Organisation, Person] | undefined {
  for (const organisation of world.organisations)
    for (const person of organisation.people) if (person.sub === sub) return [organisation, person]
  return undefined
}

/** The gateway answered with an error instead of a code. */
export function refusedPage(world: World, error: string, subject: Subject | undefined): Page {
  return demoPage({
    status: 403,
    heading: error === 'access_denied' ? 'The gateway gave no access' : 'The sign-in failed',
    card: html`<p>The demo dashboard asked for a sign-in, and the gateway answered <span class="mono">${error}</span>: that is all that an application learns. The operator sees the whole trace, and the demo shows it here.</p>
${subject && chart(world, subject)}
<div class="bar"><a class="button" href="/">All people</a></div>`,
  })
}

/** The configuration, with the ports that were free. */
export function configPage(world: World): Page {
  return demoPage({
    heading: 'The configuration',
    card: html`<p><span class="mono">config/demo.yaml</span> as it runs now. Its <span class="mono">tests:</span> say who gets what, and a configuration whose tests fail does not load.</p>
<pre class="wide" tabindex="0" role="region" aria-label="config/demo.yaml">${world.text}</pre><div class="bar"><a class="button even" href="/">All people</a></div>`,
  })
}

/** Nothing stands at this address. */
export function notFoundPage(): Page {
  return demoPage({
    status: 404,
    heading: 'Nothing is here',
    card: html`<p>This address of the demo leads nowhere.</p><div class="bar"><a class="button" href="/">Start page</a></div>`,
  })
}
