import { LoginError } from '../../../core/errors.ts'
import type { Evidence, Json } from '../credential.ts'
import { isObject, type JsonObject, jsonOf, readJws } from '../credentials/jws.ts'
import { enveloped, loireVc } from '../credentials/loire.ts'
import { noteDeviations } from '../credentials/presented.ts'
import { typesOf } from '../credentials/vc.ts'
import type { VerifyPorts } from '../ports.ts'
import { refusal } from '../refusal.ts'
import { type Contexts, openContexts } from './canonical.ts'
import { tagusCredential } from './tagus.ts'

/** What a file says about organisations, each credential by itself. */
export interface Read {
  readonly evidence: readonly Evidence[]
  /** Why others do not count: `upstream_unavailable` where a later reading may be better. */
  readonly failed: readonly LoginError[]
}

/**
 * What reads the operator's files.
 * @param contexts JSON texts of JSON-LD contexts by their addresses
 * @throws {Error} where one of them is none
 */
export function openEvidenceReader(contexts: Readonly<Record<string, string>>) {
  const known = openContexts(contexts)
  return (text: string, ports: VerifyPorts): Promise<Read> => evidenceIn(text, known, ports)
}

/** Credentials of one file, at most. */
const MOST = 500

/**
 * Reads a file of the operator: Gaia-X Tagus (JSON-LD, alone, in a list or in a presentation) or Loire (a VC-JWT, several one a line, or a
 * presentation). Signatures are checked, times and issuers are for who judges. A presentation proves nothing here, signed or not.
 * @throws {LoginError} `upstream_rejected` where it is neither
 */
export async function evidenceIn(text: string, contexts: Contexts, ports: VerifyPorts): Promise<Read> {
  const all = credentialsIn(text)
  if (all.length === 0 || all.length > MOST) throw refusal(`a file of evidence has ${all.length} credentials`)
  const evidence: Evidence[] = []
  const failed: LoginError[] = []
  for (const each of all) {
    try {
      evidence.push(await one(each, contexts, ports))
    } catch (error) {
      if (!(error instanceof LoginError)) throw error
      failed.push(error)
    }
  }
  return { evidence, failed }
}

async function one(credential: string | JsonObject, contexts: Contexts, ports: VerifyPorts): Promise<Evidence> {
  const deviations = noteDeviations(ports.lenient)
  if (isObject(credential) && !isEnvelope(credential))
    return await tagusCredential(credential, contexts, { ports, deviations })
  const text = typeof credential === 'string' ? credential : enveloped(credential, deviations)
  const { evidence } = await loireVc(text, { ports, deviations })
  // Files are verified again every hour, which tells of a key that was taken back, and bears an outage longer than a sign-in would.
  const { key: _, ...issuer } = evidence.issuer
  return { format: 'vp+jwt', ...evidence, issuer }
}

function credentialsIn(text: string): readonly (string | JsonObject)[] {
  const json = jsonOf(text)
  if (json !== undefined) return within(json)
  return text
    .trim()
    .split(/\s+/)
    .flatMap((each): readonly (string | JsonObject)[] => {
      const { payload } = readJws(each, 'a line of a file of evidence')
      return payload['verifiableCredential'] === undefined ? [each] : within(payload)
    })
}

const isEnvelope = (node: JsonObject) => typesOf(node).includes('EnvelopedVerifiableCredential')

/** Each credential, wherever it stands; one inside of another is the other's. */
function within(value: Json): readonly JsonObject[] {
  if (Array.isArray(value)) return (value as readonly Json[]).flatMap(within)
  if (!isObject(value)) return []
  const isCredential = isEnvelope(value) || typesOf(value).includes('VerifiableCredential')
  return isCredential ? [value] : Object.values(value).flatMap(within)
}
