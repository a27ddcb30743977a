import type { Browser, Page } from '../../support/browser.ts'
import { type Call, callAs, created, installKeycloak, startKeycloak } from '../upstreams/keycloak.ts'
import type { SamlUpstream } from './upstream.ts'
import { throughForms } from './world.ts'

const REALM = 'campus'
const PASSWORD = 'a-password-of-the-campus-realm'
const URI = 'URI Reference'

/** Keycloak from Maven Central as a SAML identity provider. */
export async function startSamlKeycloak(): Promise<SamlUpstream> {
  const server = await startKeycloak(await installKeycloak())
  // Another site than the gateway's to a browser.
  const url = server.url.replace('127.0.0.1', 'localhost')
  const call = callAs(server.url)
  await call('POST', '', { realm: REALM, enabled: true, sslRequired: 'none', registrationAllowed: false })
  for (const name of ['ada', 'bob']) await call('POST', `/${REALM}/users`, personOf(name))
  return {
    name: 'Keycloak',
    metadata: `${url}/realms/${REALM}/protocol/saml/descriptor`,
    async trust(metadata, { encrypted }) {
      const text = await (await fetch(metadata)).text()
      await takeIn(call, text, encrypted)
      await oneRoleAttribute(call)
    },
    async roll() {
      const config = { priority: ['200'], keySize: ['2048'], enabled: ['true'], active: ['true'] }
      const realm = (await (await call('GET', `/${REALM}`)).json()) as { readonly id: string }
      const key = {
        name: `next-${Date.now()}`,
        providerId: 'rsa-generated',
        providerType: 'org.keycloak.keys.KeyProvider',
      }
      await call('POST', `/${REALM}/components`, { ...key, parentId: realm.id, config })
    },
    signIn: async (who, page, name) => {
      const asked = page.forms.some(({ id }) => id === 'kc-form-login')
      const form = { username: name, password: PASSWORD }
      const answered = asked ? await who.submit(page, page.form('kc-form-login'), form) : page
      return throughForms(who, answered)
    },
    signOut: (who) => signOut(who, url),
    asksWho: (page) => page.forms.some(({ id }) => id === 'kc-form-login'),
    stop: server.stop,
  }
}

const personOf = (name: string) => ({
  username: name,
  enabled: true,
  email: `${name}@uni.example`,
  emailVerified: true,
  firstName: name,
  lastName: 'Uni',
  credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
})

/** By Keycloak's own reader of metadata, then with what a Keycloak says of people put under the names of research federations. */
async function takeIn(call: Call, metadata: string, encrypted: boolean): Promise<void> {
  const converted = await call('POST', `/${REALM}/client-description-converter`, metadata)
  const client = (await converted.json()) as { readonly clientId: string; readonly attributes: object }
  const there = await call('GET', `/${REALM}/clients?clientId=${encodeURIComponent(client.clientId)}`)
  for (const { id } of (await there.json()) as readonly { readonly id: string }[])
    await call('DELETE', `/${REALM}/clients/${id}`)
  const attribute = { 'attribute.nameformat': URI }
  await created(call, `/${REALM}/clients`, {
    ...client,
    enabled: true,
    // Its reader of metadata takes the first address for answers and leaves the others out.
    redirectUris: [...metadata.matchAll(/AssertionConsumerService [^>]*Location="([^"]*)"/g)].map(([, url]) => url),
    frontchannelLogout: true,
    attributes: {
      ...client.attributes,
      'saml.assertion.signature': 'true',
      'saml.client.signature': 'true',
      saml_force_name_id_format: 'true',
      saml_name_id_format: 'persistent',
      'saml.encrypt': String(encrypted),
    },
    protocolMappers: [
      {
        name: 'mail',
        protocol: 'saml',
        protocolMapper: 'saml-user-property-mapper',
        config: { ...attribute, 'user.attribute': 'email', 'attribute.name': 'urn:oid:0.9.2342.19200300.100.1.3' },
      },
      {
        name: 'entitlement',
        protocol: 'saml',
        protocolMapper: 'saml-hardcode-attribute-mapper',
        config: {
          ...attribute,
          'attribute.name': 'urn:oid:1.3.6.1.4.1.5923.1.1.1.7',
          'attribute.value': 'urn:mace:example:cloud',
        },
      },
    ],
  })
}

/** As delivered it sends one attribute `Role` for each role, of which the gateway would refuse the second. */
async function oneRoleAttribute(call: Call): Promise<void> {
  const scopes = (await (await call('GET', `/${REALM}/client-scopes`)).json()) as readonly {
    readonly id: string
    readonly name: string
    readonly protocolMappers?: readonly { readonly id: string; readonly name: string; readonly config: object }[]
  }[]
  const scope = scopes.find(({ name }) => name === 'role_list')
  const mapper = scope?.protocolMappers?.[0]
  if (!scope || !mapper) return
  const path = `/${REALM}/client-scopes/${scope.id}/protocol-mappers/models/${mapper.id}`
  await call('PUT', path, { ...mapper, config: { ...mapper.config, single: 'true' } })
}

/** The sign-out of Keycloak's own account pages, which asks first. */
async function signOut(who: Browser, url: string): Promise<Page> {
  const page = await who.get(`${url}/realms/${REALM}/protocol/openid-connect/logout`)
  const form = page.forms.find(({ action }) => action.pathname.includes('logout'))
  return form ? who.submit(page, form) : page
}
