/** Finds which of many literals a text holds, in one pass over the text (Aho and Corasick, 1975). */
export interface Automaton<T> {
  /** Calls `hit` with what belongs to each literal that occurs in the text; more than once where it occurs again. */
  scan(text: string, hit: (found: readonly T[]) => void): void
}

interface Trie<T> {
  /** A character's place in the alphabet of the literals, -1 where none of them has it. */
  readonly letter: (code: number) => number
  readonly step: (node: number, letter: number) => number
  readonly parents: Int32Array
  readonly letters: Uint16Array
  readonly depths: Int32Array
  readonly found: readonly (readonly T[] | undefined)[]
  readonly size: number
  /** How many letters there are. */
  readonly count: number
}

/** Builds the automaton; memory is about 30 bytes per character of all literals. */
export function automaton<T>(literals: ReadonlyMap<string, readonly T[]>): Automaton<T> {
  const trie = plant(literals)
  const { letter, step, found, count } = trie
  const { fails, chains } = links(trie)
  // Most characters of most texts begin nothing: the root is left and come back to without a look into the table.
  const first = Int32Array.from({ length: count }, (_, at) => Math.max(step(0, at), 0))
  return {
    scan(text, hit) {
      let node = 0
      for (let i = 0; i < text.length; i++) {
        const at = letter(text.charCodeAt(i))
        if (at < 0) {
          node = 0
          continue
        }
        let next = node === 0 ? (first[at] ?? 0) : step(node, at)
        while (next < 0) {
          node = fails[node] ?? 0
          next = node === 0 ? (first[at] ?? 0) : step(node, at)
        }
        node = next
        for (let out = node; out > 0; out = chains[out] ?? 0) {
          const refs = found[out]
          if (refs !== undefined) hit(refs)
        }
      }
    },
  }
}

/** The characters of the literals, counted off; few, so that a node and a letter fit into one small number. */
function alphabet(literals: Iterable<string>) {
  const ascii = new Int16Array(128).fill(-1)
  const others = new Map<number, number>()
  let count = 0
  for (const literal of literals)
    for (let i = 0; i < literal.length; i++) {
      const code = literal.charCodeAt(i)
      if (code < 128 ? ascii[code] !== -1 : others.has(code)) continue
      if (code < 128) ascii[code] = count++
      else others.set(code, count++)
    }
  const letter = (code: number): number => (code < 128 ? (ascii[code] ?? -1) : (others.get(code) ?? -1))
  return { letter, count }
}

/** A trie whose edges live in one open-addressed table: hundreds of thousands of small maps would cost ten times as much. */
function plant<T>(literals: ReadonlyMap<string, readonly T[]>): Trie<T> {
  const { letter, count } = alphabet(literals.keys())
  let most = 1
  for (const literal of literals.keys()) most += literal.length
  const bits = Math.max(4, Math.ceil(Math.log2(most * 2)))
  const mask = 2 ** bits - 1
  const keys = most * count < 2 ** 31 - 1 ? new Int32Array(mask + 1) : new Float64Array(mask + 1)
  const targets = new Int32Array(mask + 1)
  const parents = new Int32Array(most)
  const letters = new Uint16Array(most)
  const depths = new Int32Array(most)
  const found: (readonly T[] | undefined)[] = [undefined]
  let size = 1
  // One more than node and letter say, so that 0 means an empty place.
  const place = (key: number): number => {
    let at = (Math.imul(key, 0x9e3779b1) >>> 5) & mask
    while (keys[at] !== 0 && keys[at] !== key) at = (at + 1) & mask
    return at
  }
  for (const [literal, refs] of literals) {
    let node = 0
    for (let i = 0; i < literal.length; i++) {
      const key = node * count + letter(literal.charCodeAt(i)) + 1
      const at = place(key)
      if (keys[at] === 0) {
        keys[at] = key
        targets[at] = size
        parents[size] = node
        letters[size] = letter(literal.charCodeAt(i))
        depths[size] = i + 1
        found[size] = undefined
        size++
      }
      node = targets[at] ?? 0
    }
    found[node] = refs
  }
  const step = (node: number, at: number): number => {
    const slot = place(node * count + at + 1)
    return keys[slot] === 0 ? -1 : (targets[slot] ?? 0)
  }
  return { letter, step, parents, letters, depths, found, size, count }
}

/** For each node the longest proper suffix that is a node, and the next node on that chain at which a literal ends. */
function links<T>({ step, parents, letters, depths, found, size }: Trie<T>) {
  const fails = new Int32Array(size)
  const chains = new Int32Array(size)
  const order = Int32Array.from({ length: size }, (_, node) => node).sort((a, b) => (depths[a] ?? 0) - (depths[b] ?? 0))
  for (const node of order) {
    if ((depths[node] ?? 0) < 2) continue
    const at = letters[node] ?? 0
    let fail = fails[parents[node] ?? 0] ?? 0
    let next = step(fail, at)
    while (next < 0 && fail > 0) {
      fail = fails[fail] ?? 0
      next = step(fail, at)
    }
    const link = Math.max(next, 0)
    fails[node] = link
    chains[node] = found[link] === undefined ? (chains[link] ?? 0) : link
  }
  return { fails, chains }
}
