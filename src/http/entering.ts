import type { Context as KoaContext } from 'koa'
import type { Personal } from '../audit.ts'
import { LoginError } from '../core/errors.ts'
import { groupOf, REFUSED } from '../lifecycle/proofs.ts'
import type { Parts } from './parts.ts'
import { errorIdOf } from './render.ts'

/** A sign-in that comes to nothing leaves no proof behind, on which grants at targets would rest for hours. */
export async function undoneUnless(
  parts: Parts,
  made: { readonly id: string; readonly sub: string },
  work: () => Promise<void>,
) {
  try {
    await work()
  } catch (error) {
    await parts.leases.mark(made.sub, 2) // before, so that a crash forgets nobody
    await parts.store.revoke(groupOf.proof(made.id), REFUSED)
    throw error
  }
}

export interface Arriving {
  readonly client: string
  readonly connector: string
  readonly personal: Personal & { readonly sub: string }
  readonly targets: readonly string[]
}

/**
 * What the rules give is there before the person is, or follows where the target's configuration lets her go on.
 * @throws {LoginError} `unavailable` where it does not
 */
export async function settled(
  parts: Parts,
  ctx: KoaContext,
  { client, connector, personal, targets }: Arriving,
): Promise<void> {
  if ((await parts.leases.arrived(personal.sub, targets, errorIdOf(ctx))) !== 'refused') return
  const code = 'unavailable'
  await parts.audit(errorIdOf(ctx), { event: 'login.refused', client, connector, code, personal })
  parts.meter.login(connector, code)
  throw new LoginError(code, 'a target cannot be written into, and its configuration says ifUnreachable: refuse')
}

/** A further sign-in is welcome, the person's oldest goes for it (`sessions.perPerson`). */
export async function keepToLimit(
  parts: Parts,
  ctx: KoaContext,
  made: { readonly id: string; readonly sub: string },
): Promise<void> {
  const { perPerson } = parts.lifetimes
  if (perPerson === undefined) return
  const others = (await parts.proofs.ids(groupOf.subject(made.sub))).filter((id) => id !== made.id)
  if (others.length < perPerson) return
  const held = await Promise.all(
    others.map(async (id) => ({ id, since: (await parts.proofs.get(id))?.signedInAt ?? 0 })),
  )
  const surplus = held.sort((one, other) => one.since - other.since).slice(0, held.length - perPerson + 1)
  for (const { id } of surplus)
    await parts.ends.end({ kind: 'proof', id }, 'limit', { reference: errorIdOf(ctx), address: ctx.ip })
}
