import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Kind, type Store, StoreUnavailable } from '../../src/store/store.ts'

/** One opened store and what the suite does to it. */
export interface OpenedStore {
  readonly store: Store
  /** A second handle on the same data, as another process has it; the suite closes it. */
  readonly another: () => Promise<Store>
  /** Lets this many seconds pass for the store and all its handles. */
  readonly advance: (seconds: number) => Promise<void> | void
  /** Frees what `open` took; the suite has closed the store. */
  readonly close: () => Promise<void> | void
}

/** Every promise of `Store` as a test; an implementation is one that passes. */
export function storeContract(name: string, open: () => Promise<OpenedStore>): void {
  for (const durable of [true, false]) {
    const kind: Kind = { name: durable ? 'ContractDurable' : 'ContractVolatile', durable }
    describe(`${name}, ${durable ? 'durable' : 'volatile'} kinds`, () => {
      let opened: OpenedStore
      let ids = 0
      const fresh = () => `id-${ids++}`
      before(async () => {
        opened = await open()
      })
      after(async () => {
        await opened.store.close()
        await opened.close()
      })
      const suite = { kind, fresh, store: () => opened.store, advance: (s: number) => opened.advance(s) }
      entries(suite)
      races(suite)
      aliases(suite)
      revocation(suite)
      limits(suite)
    })
  }
  describe(`${name}, as a whole`, () => whole(open))
}

interface Suite {
  readonly kind: Kind
  readonly fresh: () => string
  readonly store: () => Store
  readonly advance: (seconds: number) => Promise<void> | void
}

const other: Kind = { name: 'ContractOther', durable: true }

function entries({ kind, fresh, store, advance }: Suite): void {
  it('returns what was put, with its end, and nothing for another id or kind', async () => {
    const id = fresh()
    assert.equal(await store().put(kind, id, 'one', 10), true)
    const entry = await store().get(kind, id)
    assert.equal(entry?.id, id)
    assert.equal(entry?.value, 'one')
    assert.equal(typeof entry?.expiresAt, 'number')
    assert.equal('consumedAt' in entry!, false)
    assert.equal(await store().get(kind, fresh()), undefined)
    assert.equal(await store().get(other, id), undefined)
  })

  it('keeps any well-formed text as it is', async () => {
    const id = `${fresh()} \u0000 ' " \n ü 🛟 __proto__`
    const value = `\u0000'"\n ü 🛟 ${'x'.repeat(5000)}`
    await store().put(kind, id, value, 10)
    assert.equal((await store().get(kind, id))?.value, value)
  })

  it('overwrites by put, with the later end', async () => {
    const id = fresh()
    await store().put(kind, id, 'one', 1)
    await store().put(kind, id, 'two', 10)
    await advance(2)
    assert.equal((await store().get(kind, id))?.value, 'two')
  })

  it('never returns an expired entry, by no verb, and its id may be used again', async () => {
    const id = fresh()
    const [alias, group] = [`alias-${id}`, `group-${id}`]
    await store().put(kind, id, 'one', 5, { alias, groups: [group] })
    await store().consume(kind, id)
    await advance(5)
    assert.equal(await store().get(kind, id), undefined)
    assert.equal(await store().find(kind, alias), undefined)
    assert.equal(await store().consume(kind, id), undefined)
    assert.equal(await store().take(kind, id), undefined)
    assert.equal(await store().swap(kind, id, 'one', 'two', 5), false)
    assert.deepEqual(await store().members(group), [])
    assert.equal(
      (await store().list(kind, 1000)).find((entry) => entry.id === id),
      undefined,
    )
    assert.equal(await store().add(kind, id, 'new', 5), true)
    assert.deepEqual(await valueAndUse(store(), kind, id), ['new', undefined])
  })

  it('forgets by put that an expired entry of the same id was consumed', async () => {
    const id = fresh()
    await store().put(kind, id, 'one', 5)
    await store().consume(kind, id)
    await advance(6)
    await store().put(kind, id, 'two', 5)
    assert.deepEqual(await valueAndUse(store(), kind, id), ['two', undefined])
  })

  it('keeps an entry without end for ever', async () => {
    const id = fresh()
    await store().put(kind, id, 'one', Number.POSITIVE_INFINITY)
    await advance(1_000_000)
    assert.equal((await store().get(kind, id))?.expiresAt, Number.POSITIVE_INFINITY)
  })

  it('adds only where nothing is', async () => {
    const id = fresh()
    assert.equal(await store().add(kind, id, 'one', 10), true)
    assert.equal(await store().add(kind, id, 'two', 10), false)
    assert.equal((await store().get(kind, id))?.value, 'one')
  })

  it('swaps only where the value is still the one that was read', async () => {
    const id = fresh()
    assert.equal(await store().swap(kind, id, 'zero', 'one', 10), false)
    assert.equal(await store().swap(kind, id, undefined, 'one', 10), true)
    assert.equal(await store().swap(kind, id, undefined, 'two', 10), false)
    assert.equal(await store().swap(kind, id, 'one', 'two', 10), true)
    assert.equal(await store().swap(kind, id, 'one', 'three', 10), false)
    assert.equal((await store().get(kind, id))?.value, 'two')
  })

  it('keeps alias, groups and use of an entry that is swapped', async () => {
    const id = fresh()
    const links = { alias: `alias-${id}`, groups: [`group-${id}`] }
    await store().put(kind, id, 'one', 10, links)
    await store().consume(kind, id)
    await store().swap(kind, id, 'one', 'two', 10)
    assert.equal((await store().find(kind, links.alias))?.value, 'two')
    assert.equal(typeof (await store().get(kind, id))?.consumedAt, 'number')
    assert.equal((await store().members(`group-${id}`)).length, 1)
  })

  it('takes an entry once', async () => {
    const id = fresh()
    await store().put(kind, id, 'one', 10)
    assert.equal((await store().take(kind, id))?.value, 'one')
    assert.equal(await store().take(kind, id), undefined)
    assert.equal(await store().get(kind, id), undefined)
  })

  it('tells the first use from later ones, and when it was, also after a put', async () => {
    const id = fresh()
    assert.equal(await store().consume(kind, id), undefined)
    await store().put(kind, id, 'one', 100)
    assert.equal(await store().consume(kind, id), 'first')
    const at = (await store().get(kind, id))?.consumedAt
    await advance(3)
    assert.equal(await store().consume(kind, id), at)
    await store().put(kind, id, 'two', 100)
    assert.deepEqual(await valueAndUse(store(), kind, id), ['two', at])
    assert.equal(await store().consume(kind, id), at)
  })

  it('deletes, and deletes again', async () => {
    const id = fresh()
    await store().put(kind, id, 'one', 10)
    await store().delete(kind, id)
    await store().delete(kind, id)
    assert.equal(await store().get(kind, id), undefined)
  })

  it('lists one kind, at most so many', async () => {
    const listed: Kind = { name: `${kind.name}Listed`, durable: kind.durable }
    for (const id of ['a', 'b', 'c']) await store().put(listed, id, `value ${id}`, 10)
    const all = await store().list(listed, 10)
    assert.deepEqual(all.map((entry) => [entry.id, entry.value]).sort(), [
      ['a', 'value a'],
      ['b', 'value b'],
      ['c', 'value c'],
    ])
    assert.equal((await store().list(listed, 2)).length, 2)
  })
}

function races({ kind, fresh, store }: Suite): void {
  it('tells exactly one of fifty callers that it was first', async () => {
    for (let round = 0; round < 5; round++) {
      const id = fresh()
      const added = await fifty(() => store().add(kind, id, 'one', 10))
      assert.equal(added.filter(Boolean).length, 1)
      const consumed = await fifty(() => store().consume(kind, id))
      assert.equal(consumed.filter((outcome) => outcome === 'first').length, 1)
      assert.equal(consumed.filter((outcome) => typeof outcome === 'number').length, 49)
      const swapped = await fifty((n) => store().swap(kind, id, 'one', `swapped ${n}`, 10))
      assert.equal(swapped.filter(Boolean).length, 1)
      const taken = await fifty(() => store().take(kind, id))
      assert.equal(taken.filter(Boolean).length, 1)
    }
  })

  it('loses no step of fifty that count one entry up', async () => {
    const id = fresh()
    const step = async (): Promise<void> => {
      const before = await store().get(kind, id)
      const next = String(Number(before?.value ?? 0) + 1)
      if (!(await store().swap(kind, id, before?.value, next, 10))) return step()
    }
    await fifty(step)
    assert.equal((await store().get(kind, id))?.value, '50')
  })
}

function aliases({ kind, fresh, store }: Suite): void {
  it('finds an entry by its alias, and not by its id or in another kind', async () => {
    const id = fresh()
    await store().put(kind, id, 'one', 10, { alias: `alias-${id}` })
    assert.equal((await store().find(kind, `alias-${id}`))?.id, id)
    assert.equal(await store().find(kind, id), undefined)
    assert.equal(await store().get(kind, `alias-${id}`), undefined)
    assert.equal(await store().find(other, `alias-${id}`), undefined)
  })

  it('lets an alias go with its entry, and with a put that does not name it', async () => {
    const id = fresh()
    await store().put(kind, id, 'one', 10, { alias: `alias-${id}` })
    await store().put(kind, id, 'two', 10)
    assert.equal(await store().find(kind, `alias-${id}`), undefined)
    await store().put(kind, id, 'three', 10, { alias: `alias-${id}` })
    await store().delete(kind, id)
    assert.equal(await store().find(kind, `alias-${id}`), undefined)
  })

  it('gives an alias to the entry that named it last', async () => {
    const [first, second] = [fresh(), fresh()]
    const alias = `alias-${first}`
    await store().put(kind, first, 'one', 10, { alias })
    await store().put(kind, second, 'two', 10, { alias })
    assert.equal((await store().find(kind, alias))?.id, second)
    assert.equal((await store().get(kind, first))?.value, 'one')
    await store().consume(kind, first)
    await store().swap(kind, first, 'one', 'changed', 10)
    assert.equal((await store().find(kind, alias))?.id, second)
    await store().delete(kind, first)
    assert.equal((await store().find(kind, alias))?.id, second)
  })
}

function revocation({ kind, fresh, store, advance }: Suite): void {
  it('deletes every member of a revoked group, over kinds, and nobody else', async () => {
    const [id, outside] = [fresh(), fresh()]
    const group = `group-${id}`
    await store().put(kind, id, 'one', 10, { groups: ['elsewhere', group], alias: `alias-${id}` })
    await store().put(other, id, 'one', 10, { groups: [group] })
    await store().put(kind, outside, 'one', 10, { groups: ['elsewhere'] })
    const members = await store().members(group)
    assert.deepEqual(members.map((member) => member.kind).sort(), [kind.name, other.name].sort())
    await store().revoke(group, 60)
    await store().revoke(group, 60)
    assert.equal(await store().get(kind, id), undefined)
    assert.equal(await store().find(kind, `alias-${id}`), undefined)
    assert.equal(await store().get(other, id), undefined)
    assert.deepEqual(await store().members(group), [])
    assert.equal((await store().get(kind, outside))?.value, 'one')
  })

  it('refuses a late member until the revocation has run out', async () => {
    const id = fresh()
    const links = { groups: ['elsewhere', `group-${id}`] }
    await store().revoke(`group-${id}`, 60)
    assert.equal(await store().put(kind, id, 'late', 10, links), false)
    assert.equal(await store().add(kind, id, 'late', 10, links), false)
    await store().revoke(`group-${id}`, 1)
    await advance(59)
    assert.equal(await store().put(kind, id, 'late', 10, links), false)
    assert.equal(await store().get(kind, id), undefined)
    await advance(2)
    assert.equal(await store().put(kind, id, 'later', 10, links), true)
    assert.equal((await store().get(kind, id))?.value, 'later')
  })

  it('leaves nothing readable of writes that run at the same time as a revocation', async () => {
    const group = `group-${fresh()}`
    const written = Array.from({ length: 50 }, fresh)
    await Promise.all(
      written.map((id, n) =>
        n === 25 ? store().revoke(group, 60) : store().put(kind, id, 'one', 10, { groups: [group] }),
      ),
    )
    assert.deepEqual(await store().members(group), [])
    for (const id of written) assert.equal(await store().get(kind, id), undefined)
  })

  it('finds an entry by each of its five groups, and deletes it by any', async () => {
    const id = fresh()
    const groups = ['a', 'b', 'c', 'd', 'e'].map((letter) => `${letter}-${id}`)
    await store().put(kind, id, 'one', 10, { groups })
    for (const group of groups) assert.deepEqual(await store().members(group), [{ kind: kind.name, id }])
    await store().revoke(groups[4]!, 10)
    assert.equal(await store().get(kind, id), undefined)
  })
  it('moves an entry between groups by put', async () => {
    const id = fresh()
    await store().put(kind, id, 'one', 10, { groups: [`old-${id}`] })
    await store().put(kind, id, 'two', 10, { groups: [`new-${id}`] })
    await store().revoke(`old-${id}`, 60)
    assert.equal((await store().get(kind, id))?.value, 'two')
    assert.equal((await store().members(`new-${id}`)).length, 1)
  })
}

function limits({ kind, fresh, store }: Suite): void {
  it('takes a key of 512 characters and a value of 1 MiB', async () => {
    const id = fresh().padEnd(512, 'k')
    await store().put(kind, id, 'v'.repeat(1_048_576), 10, { groups: ['g'.repeat(512)] })
    assert.equal((await store().get(kind, id))?.value.length, 1_048_576)
  })

  it('finds nothing under a key that cannot be written', async () => {
    for (const key of ['k'.repeat(513), 'lone \ud800 surrogate']) {
      assert.equal(await store().get(kind, key), undefined)
      assert.equal(await store().find(kind, key), undefined)
      assert.equal(await store().take(kind, key), undefined)
      assert.equal(await store().consume(kind, key), undefined)
      await store().delete(kind, key)
    }
  })

  it('takes any number of seconds from one on', async () => {
    for (const ttl of [1, 1e12, 1e18, Number.MAX_VALUE, Infinity]) {
      const [id, group] = [fresh(), fresh()]
      assert.equal(await store().add(kind, id, 'v', ttl, { alias: id, groups: [group] }), true)
      assert.equal(await store().swap(kind, id, 'v', 'w', ttl), true)
      assert.equal((await store().find(kind, id))?.value, 'w')
      await store().revoke(group, ttl)
      assert.equal(await store().get(kind, id), undefined)
      assert.equal(await store().put(kind, id, 'late', 10, { groups: [group] }), false)
    }
  })

  it('refuses to write what it could not give back', async () => {
    const id = fresh()
    await assert.rejects(store().put(kind, 'k'.repeat(513), 'v', 10), RangeError)
    await assert.rejects(store().put(kind, 'lone \ud800', 'v', 10), RangeError)
    await assert.rejects(store().add(kind, id, 'v'.repeat(1_048_577), 10), RangeError)
    await assert.rejects(store().put(kind, id, 'lone \ud800', 10), RangeError)
    await assert.rejects(store().put(kind, id, 'v', 10, { alias: 'a'.repeat(513) }), RangeError)
    await assert.rejects(store().put(kind, id, 'v', 10, { groups: ['1', '2', '3', '4', '5', '6'] }), RangeError)
    for (const ttl of [0, -1, Number.NaN]) await assert.rejects(store().put(kind, id, 'v', ttl), RangeError)
    assert.equal(await store().get(kind, id), undefined)
  })
}

function whole(open: () => Promise<OpenedStore>): void {
  const durable: Kind = { name: 'ContractDurable', durable: true }
  const volatile: Kind = { name: 'ContractVolatile', durable: false }

  it('shows a durable write to another handle as soon as it was acknowledged', async () => {
    const opened = await open()
    const second = await opened.another()
    await opened.store.put(durable, 'a', 'one', 10)
    assert.equal((await second.get(durable, 'a'))?.value, 'one')
    const outcomes = await fifty((n) => (n % 2 ? opened.store : second).consume(durable, 'a'))
    assert.equal(outcomes.filter((outcome) => outcome === 'first').length, 1)
    await second.close()
    await opened.store.close()
    await opened.close()
  })

  it('obeys a revocation by another handle in both sorts of kinds', async () => {
    const opened = await open()
    const second = await opened.another()
    for (const kind of [durable, volatile]) await opened.store.put(kind, 'b', 'one', 10, { groups: ['family'] })
    await second.revoke('family', 60)
    for (const kind of [durable, volatile]) {
      assert.equal(await opened.store.get(kind, 'b'), undefined)
      assert.equal(await opened.store.take(kind, 'b'), undefined)
      assert.equal(await opened.store.put(kind, 'b', 'late', 10, { groups: ['family'] }), false)
    }
    assert.deepEqual(await opened.store.members('family'), [])
    await second.close()
    await opened.store.close()
    await opened.close()
  })

  it('shows a revocation by another handle to whoever knows of it, whatever was read in the same moment', async () => {
    const opened = await open()
    const second = await opened.another()
    await opened.store.put(volatile, 'd', 'one', 10, { groups: ['known'] })
    await new Promise(setImmediate)
    const revoked = second.revoke('known', 60)
    await opened.store.get(volatile, 'd')
    await revoked
    assert.equal(await opened.store.get(volatile, 'd'), undefined)
    await second.close()
    await opened.store.close()
    await opened.close()
  })

  it('takes nothing again for a revocation that has run out, whatever another handle writes', async () => {
    const opened = await open()
    const second = await opened.another()
    await opened.store.get(volatile, 'c')
    await opened.store.revoke('brief', 5)
    await opened.advance(6)
    for (const kind of [durable, volatile])
      assert.equal(await opened.store.put(kind, 'c', 'later', 10, { groups: ['brief'] }), true)
    await second.put(durable, 'elsewhere', 'one', 10)
    await new Promise(setImmediate)
    for (const kind of [durable, volatile]) assert.equal((await opened.store.get(kind, 'c'))?.value, 'later')
    await second.close()
    await opened.store.close()
    await opened.close()
  })

  it('proves that it can write, and fails every verb once it is closed', async () => {
    const opened = await open()
    const { store } = opened
    await store.check()
    await store.close()
    await store.close()
    for (const kind of [durable, volatile]) {
      const verbs: Readonly<Record<string, () => Promise<unknown>>> = {
        get: () => store.get(kind, 'a'),
        find: () => store.find(kind, 'a'),
        put: () => store.put(kind, 'a', 'v', 1),
        add: () => store.add(kind, 'a', 'v', 1, { groups: ['g'] }),
        swap: () => store.swap(kind, 'a', undefined, 'v', 1),
        take: () => store.take(kind, 'a'),
        consume: () => store.consume(kind, 'a'),
        delete: () => store.delete(kind, 'a'),
        list: () => store.list(kind, 1),
        members: () => store.members('g'),
        revoke: () => store.revoke('g', 1),
        check: () => store.check(),
      }
      for (const [verb, call] of Object.entries(verbs)) {
        await assert.rejects(call(), StoreUnavailable, `${verb} of a ${kind.name}`)
      }
    }
    await opened.close()
  })
}

async function valueAndUse(
  store: Store,
  kind: Kind,
  id: string,
): Promise<readonly [string | undefined, number | undefined]> {
  const entry = await store.get(kind, id)
  return [entry?.value, entry?.consumedAt]
}

function fifty<T>(call: (n: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: 50 }, (_, n) => call(n)))
}
