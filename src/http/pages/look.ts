import { createHash } from 'node:crypto'
import { contrast, type Hex, inkOn, mix, readable } from './color.ts'
import { styleSheet } from './style.ts'

/** The operator's name, colour and links, as the configuration has them. */
export interface Brand {
  readonly name: string
  /** `#rrggbb` */
  readonly color?: string
  readonly imprint?: string
  readonly privacy?: string
  readonly help?: string
}

/** A brand with its finished style sheet. */
export interface Look {
  readonly brand: Brand
  readonly css: string
  /** `sha256-…` of `css`, for `style-src`. */
  readonly cssHash: string
}

const sea: Hex = '#0b5a8a'

/**
 * The look of a brand; make it once per configuration. The colour is used as it is where it is a ground (buttons), and
 * made darker or lighter, as little as needed, where it is text: every text has a contrast of at least 4.5.
 */
export function createLook(brand: Brand): Look {
  const color = hexOf(brand.color)
  const css =
    `:root{color-scheme:light dark;--mono:ui-monospace,"Cascadia Mono","Liberation Mono","DejaVu Sans Mono",monospace;` +
    `${declarations(palette(color, light))}}` +
    `@media(prefers-color-scheme:dark){:root{${declarations(palette(color, dark))}}}${styleSheet}`
  return { brand, css, cssHash: `sha256-${createHash('sha256').update(css).digest('base64')}` }
}

/** Two characters that stand for a label in a list: initials of the first two words, or one letter. */
export function markOf(label: string): string {
  const words = label.match(/[\p{L}\p{N}]+/gu) ?? []
  return words
    .slice(0, 2)
    .map((word) => [...word][0]?.toLocaleUpperCase() ?? '')
    .join('')
}

function hexOf(color: string | undefined): Hex {
  return color !== undefined && /^#[0-9a-f]{6}$/i.test(color) ? (color as Hex) : sea
}

interface Ground {
  readonly paper: Hex
  readonly card: Hex
  readonly ink: Hex
  /** Where a colour goes until it can be read here. */
  readonly towards: 'lighter' | 'darker'
  /** The least contrast of the accent as text. */
  readonly reads: number
  readonly quiet: Hex
  readonly line: number
  readonly edge: number
  readonly ok: Hex
  readonly no: Hex
  readonly wash: number
  readonly shade: string
}

const light: Ground = {
  paper: '#f7f8fa',
  card: '#ffffff',
  ink: '#14212e',
  towards: 'darker',
  reads: 4.6,
  quiet: '#566473',
  line: 0.12,
  edge: 0.5,
  ok: '#1d7042',
  no: '#b3261e',
  wash: 0.09,
  shade: 'rgb(20 33 46/.1)',
}

const dark: Ground = {
  paper: '#0c131a',
  card: '#151f29',
  ink: '#e8eef4',
  towards: 'lighter',
  reads: 5.6,
  quiet: '#98a9b9',
  line: 0.13,
  edge: 0.42,
  ok: '#6fcf97',
  no: '#ff8a80',
  wash: 0.16,
  shade: 'rgb(0 0 0/.45)',
}

/** The custom properties of one colour scheme. Exported for the test that measures the contrasts. */
export function palette(color: Hex, ground: Ground): Readonly<Record<string, string>> {
  const { paper, card, ink, towards } = ground
  const washOf = (shade: Hex) => mix(shade, card, ground.wash)
  const text = readable(color, towards, ground.reads, (shade) => [paper, card, washOf(shade)])
  const wash = washOf(text)
  const fill = contrast(color, card) >= 1.5 ? color : text
  const wave = mix(text, paper, 0.2)
  const quiet = readable(ground.quiet, towards, 4.6, () => [paper, card, wash])
  return {
    paper,
    card,
    ink,
    quiet,
    line: mix(ink, card, ground.line),
    edge: mix(ink, card, ground.edge),
    soft: mix(text, card, 0.32),
    sea: text,
    wash,
    fill,
    'fill-ink': inkOn(fill),
    'fill-edge': contrast(fill, card) >= 3 ? fill : text,
    ok: readable(ground.ok, towards, 4.6, (shade) => [card, washOf(shade)]),
    'ok-wash': washOf(ground.ok),
    no: readable(ground.no, towards, 4.6, (shade) => [card, washOf(shade)]),
    'no-wash': washOf(ground.no),
    wave,
    'wave-far': mix(text, paper, 0.1),
    'wave-ink': readable(text, towards, 4.6, () => [wave]),
    shade: ground.shade,
  }
}

/** The two colour schemes. */
export const grounds = { light, dark } as const

function declarations(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `--${name}:${value};`)
    .join('')
}
