import type { Events, Tag } from './xml.ts'

/** What is read of an element: everything that no shape names is passed over, with all that is inside it. */
export interface Shape<T> {
  readonly uri: string
  /** False passes over this one. */
  readonly open?: (into: T, tag: Tag) => unknown
  /** Gets the element's own text, all of it. */
  readonly text?: (into: T, text: string, tag: Tag) => void
  readonly close?: (into: T, tag: Tag) => void
  /** By local name. An element that holds its like is asked for when it is met. */
  readonly inside?: Readonly<Record<string, Shape<T>>> | (() => Readonly<Record<string, Shape<T>>>)
}

/** UTF-16 units of an element's text that are kept; certificates have a few thousand. */
const LONGEST = 65_536

const insideOf = <T>({ inside }: Shape<T>) => (typeof inside === 'function' ? inside() : inside)

/**
 * Reads a document by the shape of its root. An element counts only where its parent is the one that the shape names: the same element
 * elsewhere, in another's extensions for one, is not read.
 */
export function openShaped<T>(roots: Readonly<Record<string, Shape<T>>>, into: T): Events {
  const path: Shape<T>[] = []
  const texts: string[] = []
  /** How deep inside an element that is passed over. */
  let over = 0

  return {
    open(tag) {
      const top = path.at(-1)
      const known = top === undefined ? roots : insideOf(top)
      const shape = over === 0 && known && Object.hasOwn(known, tag.local) ? known[tag.local] : undefined
      if (shape?.uri !== tag.uri || shape.open?.(into, tag) === false) {
        over += 1
        return
      }
      path.push(shape)
      texts.push('')
    },
    text(text) {
      if (over > 0 || path.at(-1)?.text === undefined) return
      const before = texts.at(-1)! // as many texts as shapes
      // What is full is left alone: cut anew at each of a hundred thousand pieces it would be copied as often.
      if (before.length < LONGEST) texts[texts.length - 1] = (before + text).slice(0, LONGEST)
    },
    close(tag) {
      if (over > 0) {
        over -= 1
        return
      }
      const shape = path.pop()!
      const text = texts.pop()!
      shape.text?.(into, text.trim(), tag)
      shape.close?.(into, tag)
    },
    instruction() {},
  }
}

/** The value of an attribute without prefix, or ''. */
export function attributeOf(tag: Tag, name: string): string {
  for (const { uri, local, value } of tag.attributes) if (local === name && uri === '') return value
  return ''
}
