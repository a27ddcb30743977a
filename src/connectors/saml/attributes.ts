/** One attribute, by its only name here and by all that IdPs use. */
export interface AttributeName {
  /** What rules call it: its friendly name, or what the same upstream calls it in OpenID Connect. */
  readonly claim: string
  /** `scoped`: it ends in `@` and a scope; `scope`: it is one; `unread`: large and of no use in a rule. */
  readonly kind?: 'scoped' | 'scope' | 'unread'
}

const EDU = 'urn:oid:1.3.6.1.4.1.5923.1.1.1.'
const SCHAC = 'urn:oid:1.3.6.1.4.1.25178.1.2.'
/** voPerson has moved; both are in use. */
const VO = ['urn:oid:1.3.6.1.4.1.25178.4.1.', 'urn:oid:1.3.6.1.4.1.34998.3.3.1.']
const X500 = 'urn:oid:2.5.4.'
const INET = 'urn:oid:2.16.840.1.113730.3.1.'
const COSINE = 'urn:oid:0.9.2342.19200300.100.1.'
const WS = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/'
const MS = 'http://schemas.microsoft.com/'
/** Names from before OIDs, which some IdPs still send. */
const OLD = 'urn:mace:dir:attribute-def:'

/**
 * Claim, kind (`@` scoped, `=` a scope, `-` unread), and the names under which it is sent beside its own and `urn:mace:dir:attribute-def:` with
 * its own. FriendlyName plays no part: "for informational purposes only" (SAML Core 2.7.3.1).
 * @see eduPerson 202208, SCHAC 1.6, voPerson 2, RFC 4519, RFC 2798, SAML V2.0 Subject Identifier Attributes Profile 1.0; of AD FS and Entra ID the
 *   names that the same tenant has in OpenID Connect
 */
// biome-ignore format: the columns are read downwards
const table: readonly (readonly [claim: string, kind: '' | '@' | '=' | '-', ...names: readonly string[]])[] = [
  ['subject-id',                  '@', 'urn:oasis:names:tc:SAML:attribute:subject-id'],
  ['pairwise-id',                 '@', 'urn:oasis:names:tc:SAML:attribute:pairwise-id'],
  ['eduPersonAffiliation',        '',  `${EDU}1`],
  ['eduPersonNickname',           '',  `${EDU}2`],
  ['eduPersonOrgDN',              '',  `${EDU}3`],
  ['eduPersonOrgUnitDN',          '',  `${EDU}4`],
  ['eduPersonPrimaryAffiliation', '',  `${EDU}5`],
  ['eduPersonPrincipalName',      '@', `${EDU}6`],
  ['eduPersonEntitlement',        '',  `${EDU}7`],
  ['eduPersonPrimaryOrgUnitDN',   '',  `${EDU}8`],
  ['eduPersonScopedAffiliation',  '@', `${EDU}9`],
  ['eduPersonTargetedID',         '',  `${EDU}10`],
  ['eduPersonAssurance',          '',  `${EDU}11`],
  ['eduPersonPrincipalNamePrior', '@', `${EDU}12`],
  ['eduPersonUniqueId',           '@', `${EDU}13`],
  ['eduPersonOrcid',              '',  `${EDU}16`],
  ['isMemberOf',                  '',  'urn:oid:1.3.6.1.4.1.5923.1.5.1.1'],
  ['schacDateOfBirth',            '',  `${SCHAC}3`],
  ['schacCountryOfCitizenship',   '',  `${SCHAC}5`],
  ['schacPersonalTitle',          '',  `${SCHAC}8`],
  ['schacHomeOrganization',       '=', `${SCHAC}9`],
  ['schacHomeOrganizationType',   '',  `${SCHAC}10`],
  ['schacCountryOfResidence',     '',  `${SCHAC}11`],
  ['schacPersonalPosition',       '',  `${SCHAC}13`],
  ['schacPersonalUniqueCode',     '',  `${SCHAC}14`],
  ['schacPersonalUniqueID',       '',  `${SCHAC}15`],
  ['schacExpiryDate',             '',  `${SCHAC}17`],
  ['schacUserStatus',             '',  `${SCHAC}19`],
  ['schacProjectMembership',      '',  `${SCHAC}20`],
  ['schacProjectSpecificRole',    '',  `${SCHAC}21`],
  ['voPersonApplicationUID',      '',  ...VO.map((arc) => `${arc}1`)],
  ['voPersonExternalID',          '',  ...VO.map((arc) => `${arc}5`)],
  ['voPersonID',                  '',  ...VO.map((arc) => `${arc}6`)],
  ['voPersonPolicyAgreement',     '',  ...VO.map((arc) => `${arc}7`)],
  ['voPersonSoRID',               '',  ...VO.map((arc) => `${arc}8`)],
  ['voPersonStatus',              '',  ...VO.map((arc) => `${arc}9`)],
  ['voPersonAffiliation',         '',  ...VO.map((arc) => `${arc}10`)],
  ['voPersonExternalAffiliation', '',  ...VO.map((arc) => `${arc}11`)],
  ['voPersonScopedAffiliation',   '@', ...VO.map((arc) => `${arc}12`)],
  ['voPersonVerifiedEmail',       '',  ...VO.map((arc) => `${arc}14`)],
  ['uid',                         '',  `${COSINE}1`],
  ['mail',                        '',  `${COSINE}3`, `${WS}emailaddress`, 'http://schemas.xmlsoap.org/claims/EmailAddress', 'urn:oid:1.2.840.113549.1.9.1'],
  ['mobile',                      '',  `${COSINE}41`],
  ['jpegPhoto',                   '-', `${COSINE}60`],
  ['cn',                          '',  `${X500}3`, 'http://schemas.xmlsoap.org/claims/CommonName'],
  ['sn',                          '',  `${X500}4`, `${WS}surname`],
  ['c',                           '',  `${X500}6`, `${WS}country`],
  ['l',                           '',  `${X500}7`, `${WS}locality`],
  ['st',                          '',  `${X500}8`, `${WS}stateorprovince`],
  ['street',                      '',  `${X500}9`, `${WS}streetaddress`],
  ['o',                           '',  `${X500}10`],
  ['ou',                          '',  `${X500}11`],
  ['title',                       '',  `${X500}12`],
  ['description',                 '',  `${X500}13`],
  ['postalCode',                  '',  `${X500}17`, `${WS}postalcode`],
  ['telephoneNumber',             '',  `${X500}20`],
  ['userCertificate',             '-', `${X500}36`],
  ['givenName',                   '',  `${X500}42`, `${WS}givenname`],
  ['departmentNumber',            '',  `${INET}2`],
  ['employeeNumber',              '',  `${INET}3`],
  ['employeeType',                '',  `${INET}4`],
  ['preferredLanguage',           '',  `${INET}39`],
  ['userSMIMECertificate',        '-', `${INET}40`],
  ['displayName',                 '',  `${INET}241`, `${MS}identity/claims/displayname`],
  ['name',                        '',  `${X500}41`, `${WS}name`],
  ['upn',                         '',  `${WS}upn`, 'http://schemas.xmlsoap.org/claims/UPN'],
  ['oid',                         '',  `${MS}identity/claims/objectidentifier`],
  ['tid',                         '',  `${MS}identity/claims/tenantid`],
  ['groups',                      '',  `${MS}ws/2008/06/identity/claims/groups`, 'http://schemas.xmlsoap.org/claims/Group'],
  ['roles',                       '',  `${MS}ws/2008/06/identity/claims/role`],
  ['windowsaccountname',          '',  `${MS}ws/2008/06/identity/claims/windowsaccountname`],
  ['amr',                         '',  `${MS}claims/authnmethodsreferences`],
]

const kinds = { '': undefined, '@': 'scoped', '=': 'scope', '-': 'unread' } as const

const byName: ReadonlyMap<string, AttributeName> = new Map(
  table.flatMap(([claim, mark, ...names]) => {
    const kind = kinds[mark]
    const entry: AttributeName = { claim, ...(kind && { kind }) }
    return [claim, `${OLD}${claim}`, ...names].map((name) => [name, entry] as const)
  }),
)

/** What an attribute is called here; one that nobody knows keeps its name. */
export function attributeNamed(name: string): AttributeName {
  return byName.get(name) ?? { claim: name }
}

const requested: ReadonlyMap<string, string> = new Map(table.map(([claim, , name = claim]) => [claim, name]))

/** The name by which an attribute is asked for in metadata; the claim itself where nobody knows another. */
export function requestName(claim: string): string {
  return requested.get(claim) ?? claim
}

/**
 * Names that OpenID Connect has for the same, by which rules and user names find them whatever the upstream speaks: the first that is there
 * is taken, and only where the upstream says none by that name itself.
 */
export const synonyms: Readonly<Record<string, readonly string[]>> = {
  email: ['mail'],
  name: ['displayName', 'cn'],
  given_name: ['givenName'],
  family_name: ['sn'],
  preferred_username: ['eduPersonPrincipalName', 'upn', 'uid'],
}
