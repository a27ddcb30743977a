import { rejected } from './judge.ts'
import type { OidcConfig, OptionProblem } from './options.ts'

type Json = Readonly<Record<string, unknown>>

/** What of a connector's options its preset looks at. */
export type Preset = Partial<Pick<OidcConfig, 'preset' | 'issuer' | 'clientId' | 'subjectClaim'>>

/** The alias under which the realm of GXFS has the service's own way to sign in; its other one, `ssi-siop`, proves nobody. */
const ALIAS = 'ssi-oidc'
/** The claim in which Keycloak says through which of its identity providers somebody came, where a mapper adds it. */
const CAME_BY = 'identity_provider'
/** "If the Issuer is https://self-issued.me/v2": the wallet vouches for itself, and the service reads it without a signature. */
const SELF_ISSUED = /^https:\/\/self-issued\.me(\/|$)/
/** A wallet's word, which the service passes on and the realm of GXFS takes as verified (`trustEmail`). */
const UNPROVEN = new Set(['email', 'email_verified'])

/** What a preset forbids in the options beside it. Why: docs/guides/gxfs-aas.md. */
export function presetProblems({ preset, clientId, subjectClaim }: Preset): readonly OptionProblem[] {
  if (preset === undefined) return []
  const problems: OptionProblem[] = []
  if (subjectClaim === undefined || subjectClaim === 'sub')
    problems.push({
      path: ['subjectClaim'],
      message: `missing; with \`preset: ${preset}\` \`sub\` is the name of one sign-in, write a claim that stays with the person`,
    })
  if (clientId !== undefined && /siop/i.test(clientId))
    problems.push({
      path: ['clientId'],
      message: 'a client of the service for SIOP, where nobody checks a signature; write one for OpenID Connect',
    })
  return problems
}

/**
 * The claims of an answer as far as the preset believes them; without a preset, all.
 * @param userinfo as it came, before the signed claims won over it
 * @throws {LoginError} `upstream_rejected` where the person came by a way that proves nothing
 */
export function believed(config: Preset, json: Json, userinfo: Json | undefined): Json {
  if (config.preset === undefined) return json
  if (SELF_ISSUED.test(String(userinfo?.['iss'] ?? ''))) throw rejected('a wallet vouches for itself (SIOP)')
  const cameBy = json[CAME_BY]
  if (cameBy === undefined && isKeycloak(config))
    throw rejected(`it has no ${CAME_BY}, so that nobody can tell ${ALIAS} from ssi-siop`)
  if (cameBy !== undefined && cameBy !== ALIAS) throw rejected(`its ${CAME_BY} is another than ${ALIAS}`)
  return Object.fromEntries(Object.entries(json).filter(([name]) => !UNPROVEN.has(name)))
}

/** Keycloak's issuers end in `/realms/NAME`, whatever stands before; the service's own have no path. */
const isKeycloak = ({ issuer }: Preset) => issuer !== undefined && /\/realms\/[^/]+\/?$/.test(new URL(issuer).pathname)
