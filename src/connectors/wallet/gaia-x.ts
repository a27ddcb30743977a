/** Gaia-X writes a type with its prefix, with its vocabulary, or alone. */
export const typeName = (type: string) => type.replace(/^(gx:|https:\/\/w3id\.org\/gaia-x\/[^#]*#)/, '')

/** Numbers that a notary found in a register. Whoever asks for one says to whom it belongs: it vouches for nobody. */
const numbers: ReadonlySet<string> = new Set([
  'legalRegistrationNumber',
  'RegistrationNumber',
  'VatID',
  'LeiCode',
  'EORI',
  'Eori',
  'EUID',
  'Euid',
  'TaxID',
  'LocalRegistrationNumber',
])

/** Types that speak of an organisation or of a service, by Tagus, Loire and ICAM; a person with one would sign in as all of its people. */
const nobody: ReadonlySet<string> = new Set([
  ...numbers,
  'LegalParticipant',
  'LegalPerson',
  'LegalPersonPartyCredential',
  'MembershipPartyCredential',
  'OnboardingCredential',
  'ServicePartyCredential',
  'GaiaXTermsAndConditions',
  'Issuer',
  'compliance',
  'LabelCredential',
])

/** Whether a type of Gaia-X speaks of no person. */
export const isNoPerson = (type: string) => nobody.has(typeName(type))

/** Whether a type of Gaia-X is a registration number. */
export const isNumber = (type: string) => numbers.has(typeName(type))
