/** Finds which of many literals a text holds, in one pass over the text (Aho and Corasick, 1975). */
export interface Automaton<T> {
  /** Calls `hit` with what belongs to each literal that occurs in the text; more than once where it occurs again. */
  scan(text: string, hit: (found: readonly T[]) => void): void
}

interface Trie<T> {
  readonly step: (node: number, code: number) => number
  readonly parents: Int32Array
  readonly codes: Uint16Array
  readonly depths: Int32Array
  readonly found: readonly (readonly T[] | undefined)[]
  readonly size: number
}

/** Builds the automaton; memory is about 30 bytes per character of all literals. */
export function automaton<T>(literals: ReadonlyMap<string, readonly T[]>): Automaton<T> {
  const trie = plant(literals)
  const { step, found } = trie
  const { fails, chains } = links(trie)
  return {
    scan(text, hit) {
      let node = 0
      for (let i = 0; i < text.length; i++) {
        const code = text.charCodeAt(i)
        let next = step(node, code)
        while (next < 0 && node > 0) {
          node = fails[node] ?? 0
          next = step(node, code)
        }
        node = Math.max(next, 0)
        for (let out = node; out > 0; out = chains[out] ?? 0) {
          const refs = found[out]
          if (refs !== undefined) hit(refs)
        }
      }
    },
  }
}

/** A trie whose edges live in one open-addressed table: hundreds of thousands of small maps would cost ten times as much. */
function plant<T>(literals: ReadonlyMap<string, readonly T[]>): Trie<T> {
  let most = 1
  for (const literal of literals.keys()) most += literal.length
  const bits = Math.max(4, Math.ceil(Math.log2(most * 2)))
  const mask = 2 ** bits - 1
  const keys = new Float64Array(mask + 1)
  const targets = new Int32Array(mask + 1)
  const parents = new Int32Array(most)
  const codes = new Uint16Array(most)
  const depths = new Int32Array(most)
  const found: (readonly T[] | undefined)[] = [undefined]
  let size = 1
  // The root is node 1 in keys, so that 0 means an empty place.
  const place = (node: number, code: number): number => {
    const key = (node + 1) * 65_536 + code
    let at = ((Math.imul(node, 0x9e3779b1) ^ Math.imul(code, 0x85ebca6b)) >>> 7) & mask
    while (keys[at] !== 0 && keys[at] !== key) at = (at + 1) & mask
    return at
  }
  for (const [literal, refs] of literals) {
    let node = 0
    for (let i = 0; i < literal.length; i++) {
      const code = literal.charCodeAt(i)
      const at = place(node, code)
      if (keys[at] === 0) {
        keys[at] = (node + 1) * 65_536 + code
        targets[at] = size
        parents[size] = node
        codes[size] = code
        depths[size] = i + 1
        found[size] = undefined
        size++
      }
      node = targets[at] ?? 0
    }
    found[node] = refs
  }
  const step = (node: number, code: number): number => {
    const at = place(node, code)
    return keys[at] === 0 ? -1 : (targets[at] ?? 0)
  }
  return { step, parents, codes, depths, found, size }
}

/** For each node the longest proper suffix that is a node, and the next node on that chain at which a literal ends. */
function links<T>({ step, parents, codes, depths, found, size }: Trie<T>) {
  const fails = new Int32Array(size)
  const chains = new Int32Array(size)
  const order = Int32Array.from({ length: size }, (_, node) => node).sort((a, b) => (depths[a] ?? 0) - (depths[b] ?? 0))
  for (const node of order) {
    if ((depths[node] ?? 0) < 2) continue
    const code = codes[node] ?? 0
    let fail = fails[parents[node] ?? 0] ?? 0
    let next = step(fail, code)
    while (next < 0 && fail > 0) {
      fail = fails[fail] ?? 0
      next = step(fail, code)
    }
    const link = Math.max(next, 0)
    fails[node] = link
    chains[node] = found[link] === undefined ? (chains[link] ?? 0) : link
  }
  return { fails, chains }
}
