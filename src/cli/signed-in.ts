import { openEnds, type Selector, type SignIn } from '../lifecycle/end.ts'
import { openProofShelf } from '../lifecycle/proofs.ts'
import type { Store } from '../store/store.ts'
import type { Io } from './command.ts'

/** The sign-ins of a selector whose proof still holds; a look, which writes nothing. */
export async function signedIn(selector: Selector, store: Store, { now }: Io): Promise<readonly SignIn[]> {
  const { signIns } = await openEnds({ ...reading, now, store, proofs: openProofShelf(store, now) }).find(selector)
  return signIns.filter(({ proof }) => proof.goodUntil > now())
}

const never = () => {
  throw new Error('a look writes nothing')
}

/** What an end needs and a look does not. */
const reading = { audit: never, log: never, random: never, refuseFor: 1 }
