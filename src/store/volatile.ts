import { entryOf, type Shelf, type Write } from './shelf.ts'
import type { Entry } from './store.ts'

/** How much one kind may hold; where it is full, its oldest entries go first. A flood of one kind never pushes out another. */
export interface Bounds {
  readonly entries: number
  /** Characters of all values and ids of the kind together. */
  readonly characters: number
}

/** About ten minutes of sign-ins at eighty a second; a kind filled with largest values holds 64 MiB. */
export const defaultBounds: Bounds = { entries: 50_000, characters: 33_554_432 }

interface Row extends Write {
  readonly consumedAt: number | undefined
}

interface Drawer {
  /** Oldest write first. */
  readonly rows: Map<string, Row>
  readonly aliases: Map<string, string>
  characters: number
}

/** Entries that die with the process: in memory, bounded, with the semantics of the durable half. */
export function volatileShelf(bounds: Bounds): Shelf {
  const drawers = new Map<string, Drawer>()
  const groups = new Map<string, Set<Row>>()

  const drawer = (kind: string): Drawer => {
    const known = drawers.get(kind)
    if (known) return known
    const made = { rows: new Map(), aliases: new Map(), characters: 0 }
    drawers.set(kind, made)
    return made
  }

  const remove = (row: Row): void => {
    const { rows, aliases } = drawer(row.kind)
    if (!rows.delete(row.id)) return
    drawer(row.kind).characters -= row.value.length + row.id.length
    if (row.alias !== undefined && aliases.get(row.alias) === row.id) aliases.delete(row.alias)
    for (const name of row.groups) {
      const members = groups.get(name)
      members?.delete(row)
      if (members?.size === 0) groups.delete(name)
    }
  }

  const live = (kind: string, id: string, now: number): Row | undefined => {
    const row = drawers.get(kind)?.rows.get(id)
    return row && row.expiresAt > now ? row : undefined
  }

  const write = (row: Row): void => {
    const into = drawer(row.kind)
    const before = into.rows.get(row.id)
    if (before) remove(before)
    into.characters += row.value.length + row.id.length
    for (const oldest of into.rows.values()) {
      if (into.rows.size < bounds.entries && into.characters <= bounds.characters) break
      remove(oldest)
    }
    into.rows.set(row.id, row)
    if (row.alias !== undefined) into.aliases.set(row.alias, row.id)
    for (const name of row.groups) {
      const members = groups.get(name)
      if (members) members.add(row)
      else groups.set(name, new Set([row]))
    }
  }

  /** A row as it goes on: without the alias that another one has taken since. */
  const own = (row: Row): Row => {
    const held = row.alias !== undefined && drawer(row.kind).aliases.get(row.alias) === row.id
    return held ? row : { ...row, alias: undefined }
  }

  return {
    get: (kind, id, now) => entry(live(kind, id, now)),
    find(kind, alias, now) {
      const id = drawers.get(kind)?.aliases.get(alias)
      return id === undefined ? undefined : entry(live(kind, id, now))
    },
    put: (row, now) => write({ ...row, consumedAt: live(row.kind, row.id, now)?.consumedAt }),
    add(row, now) {
      if (live(row.kind, row.id, now)) return false
      write({ ...row, consumedAt: undefined })
      return true
    },
    replace({ kind, id, value, expiresAt }, from, now) {
      const before = live(kind, id, now)
      if (before?.value !== from) return false
      write({ ...own(before), value, expiresAt })
      return true
    },
    take(kind, id, now) {
      const row = live(kind, id, now)
      if (row) remove(row)
      return entry(row)
    },
    consume(kind, id, now) {
      const row = live(kind, id, now)
      if (!row) return undefined
      if (row.consumedAt !== undefined) return row.consumedAt
      write({ ...own(row), consumedAt: now })
      return 'first'
    },
    delete(kind, id) {
      const row = drawers.get(kind)?.rows.get(id)
      if (row) remove(row)
    },
    members: (group, now) =>
      [...(groups.get(group) ?? [])].filter((row) => row.expiresAt > now).map(({ kind, id }) => ({ kind, id })),
    list: (kind, limit, now) => list(drawers.get(kind)?.rows.values() ?? [], limit, now),
    drop(group) {
      for (const row of [...(groups.get(group) ?? [])]) remove(row)
    },
    sweep(limit, now) {
      let swept = 0
      for (const { rows } of drawers.values()) {
        let seen = 0
        for (const row of rows.values()) {
          if (++seen > limit) break
          if (row.expiresAt > now) continue
          remove(row)
          swept++
        }
      }
      return swept
    },
  }
}

function entry(row: Row | undefined): Entry | undefined {
  return row && entryOf(row.id, row.value, row.expiresAt, row.consumedAt)
}

function list(rows: Iterable<Row>, limit: number, now: number): readonly Entry[] {
  const found: Entry[] = []
  for (const row of rows) {
    if (found.length >= limit) break
    if (row.expiresAt > now) found.push(entryOf(row.id, row.value, row.expiresAt, row.consumedAt))
  }
  return found
}
