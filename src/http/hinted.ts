import { payloadOf } from './overrides.ts'

/**
 * Whether somebody is whom the client named by `id_token_hint`, an ID token of hers that the library has checked; true where it named
 * nobody. Anybody else must not come back to the client: "otherwise, it MUST return an error, such as login_required". The library
 * looks at who is signed in already, and not at who then comes.
 * @param sub as in our ID tokens
 * @see OpenID Connect Core, section 3.1.2.1
 */
export function isHinted(params: Readonly<Record<string, unknown>> | undefined, sub: string | undefined): boolean {
  const hint = params?.['id_token_hint']
  return typeof hint !== 'string' || payloadOf(hint)['sub'] === sub
}
