import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { type Idp, startIdp } from '../../support/oidc-idp.ts'

/** An upstream whose word about people changes, and that says by itself whom it signed out. */
export interface Teller extends Idp {
  /** What it says of somebody from now on; `gone` where she is not there any more. */
  says(person: string, groups: readonly string[] | 'gone'): void
  /** A logout token about a person, as it would be sent. */
  logoutToken(person: string): Promise<string>
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

/** @param people who is there at first, with no groups @param gateway the address of the gateway, whose connectors are `corp` and `brief` */
export async function startTeller(people: readonly string[], gateway: string): Promise<Teller> {
  const groups = new Map<string, readonly string[]>(people.map((sub) => [sub, []]))
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const claims = (sub: string) => ({ preferred_username: sub, email: `${sub}@corp.example`, email_verified: true })
  const idp = await startIdp({
    people: people.map((sub) => ({ sub, claims: { ...claims(sub), groups: [] } })),
    clients: [
      {
        id: 'lotse',
        secret: 'a-secret-of-the-upstream-client-0123456789',
        redirectUris: ['corp', 'brief'].map((id) => `${gateway}/callback/${id}`),
      },
    ],
    configuration: {
      jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'up', use: 'sig', alg: 'ES256' }] as never },
      findAccount: async (_ctx, sub) => {
        const own = groups.get(sub)
        return own && { accountId: sub, claims: () => ({ sub, ...claims(sub), groups: own }) }
      },
    },
  })
  return {
    ...idp,
    says: (person, own) => void (own === 'gone' ? groups.delete(person) : groups.set(person, own)),
    logoutToken: (person) => {
      const now = Math.floor(Date.now() / 1000)
      return new SignJWT({ events: { [EVENT]: {} }, jti: randomUUID(), sub: person })
        .setProtectedHeader({ alg: 'ES256', kid: 'up', typ: 'logout+jwt' })
        .setIssuer(idp.issuer)
        .setAudience('lotse')
        .setIssuedAt(now)
        .setExpirationTime(now + 120)
        .sign(privateKey)
    },
  }
}
