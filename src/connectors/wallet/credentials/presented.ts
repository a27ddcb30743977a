import type { Binding, Credential, Format } from '../credential.ts'
import { type Checking, type Deviations, type Leniency, leniencies, type Note, type VerifyPorts } from '../ports.ts'
import { refusal } from '../refusal.ts'
import { presentedJwtVc } from './jwt-vc.ts'
import { presentedLoire } from './loire.ts'
import { presentedSdJwt } from './sd-jwt.ts'

type Reader = (text: string, binding: Binding, checking: Checking) => Promise<readonly Credential[]>

const readers: Readonly<Record<Format, Reader>> = {
  'dc+sd-jwt': async (text, binding, checking) => [await presentedSdJwt(text, binding, checking)],
  jwt_vc_json: presentedJwtVc,
  'vp+jwt': presentedLoire,
}

/**
 * The credentials in one presentation of an answer, after their signatures, the holder's proof, the binding to our request and their times
 * were checked. Who may say what is for trust.ts, and status for status.ts.
 * @param presentation one string of `vp_token`
 * @throws {LoginError} `upstream_rejected`; `upstream_unavailable` where a key of an issuer cannot be read
 */
export async function presented(
  format: Format,
  presentation: string,
  binding: Binding,
  ports: VerifyPorts,
  note: Note = () => {},
): Promise<readonly Credential[]> {
  const read = Object.hasOwn(readers, format) ? readers[format] : undefined
  if (!read) throw refusal('it is of a format that is not read here')
  return await read(presentation, binding, {
    ports: askingFew(ports),
    deviations: () => noteDeviations(ports.lenient),
    note,
  })
}

/** Issuers and holders of one presentation that are asked for their keys, at most. */
const ASKED = 16

/** One after the other they are waited for: a hundred slow ones would hold a sign-in, and a place among the requests, for minutes. */
function askingFew(ports: VerifyPorts): VerifyPorts {
  const asked = new Set<string>()
  return {
    ...ports,
    allowed(issuer) {
      if (!ports.allowed(issuer)) return false
      if (asked.add(issuer).size > ASKED) throw refusal(`it is from more than ${ASKED} issuers`)
      return true
    },
  }
}

/** What one credential deviates in. */
export function noteDeviations(lenient: ReadonlySet<Leniency>): Deviations {
  const taken = new Set<Leniency>()
  return {
    taken,
    take(name) {
      if (!lenient.has(name)) throw refusal(`it deviates from the standard: ${leniencies[name]} (${name})`)
      taken.add(name)
    },
  }
}
