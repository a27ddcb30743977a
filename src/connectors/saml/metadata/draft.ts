import type { Endpoint, Idp, Scope } from '../idp.ts'

const HIDDEN = 'http://refeds.org/category/hide-from-discovery'

/** An entity while it is read. */
export interface Draft {
  entityId: string
  until: number
  role: boolean
  wants: boolean
  signing: string[]
  sso: Endpoint[]
  slo: Endpoint[]
  formats: string[]
  scopes: Scope[]
  names: Record<string, string>
  organisation: Record<string, string>
  keywords: string[]
  authority: string
  categories: string[]
  /** Of the `saml:Attribute` that is read. */
  attribute: string
}

/** An entity of which nothing was read yet. @param until Unix seconds */
export const draft = (entityId: string, until: number): Draft => ({
  entityId,
  until,
  role: false,
  wants: false,
  signing: [],
  sso: [],
  slo: [],
  formats: [],
  scopes: [],
  names: {},
  organisation: {},
  keywords: [],
  authority: '',
  categories: [],
  attribute: '',
})

/**
 * The finished IdP; undefined where it cannot be used.
 * @param around the end of the whole (Unix seconds), which is not repeated: it changes each hour, and the rest does not
 */
export function idpOf(found: Draft, around: number): Idp | undefined {
  const { entityId, until, signing, sso, categories, authority } = found
  if (entityId === '' || entityId.length > 1024 || signing.length === 0 || sso.length === 0) return undefined
  return {
    entityId,
    signing,
    sso,
    slo: found.slo,
    wantsSignedRequests: found.wants,
    nameIdFormats: found.formats,
    scopes: found.scopes,
    names: Object.keys(found.names).length > 0 ? found.names : found.organisation,
    keywords: found.keywords,
    ...(authority === '' ? {} : { registrationAuthority: authority }),
    categories,
    hidden: categories.includes(HIDDEN),
    ...(until < around ? { validUntil: until } : {}),
  }
}
