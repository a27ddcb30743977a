import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Page } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Violation {
  readonly id: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
}

/** Rules beyond WCAG 2.2 AA and best practice that are off by default. */
const extra = ['target-size', 'focus-order-semantics', 'label-content-name-mismatch', 'css-orientation-lock']

/** What axe-core holds against the page as it stands now. It comes in by the debugger, so the page's policy stays on. */
export async function violations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe)
  const found = await page.evaluate(async (rules): Promise<readonly Violation[]> => {
    const { axe } = globalThis as unknown as {
      axe: { run(on: Document, how: object): Promise<{ violations: Violation[] }> }
    }
    const enabled = Object.fromEntries(rules.map((rule) => [rule, { enabled: true }]))
    const how = { preload: false, resultTypes: ['violations'], rules: enabled }
    return (await axe.run(document, how)).violations
  }, extra)
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((n) => `${n.html} ${n.failureSummary ?? ''}`).join(' | ')}`)
}

const sizes = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 900 } } as const
const schemes = ['light', 'dark'] as const

/** How much wider the page is than its window, pixels; nobody should have to scroll to the side. */
const overhang = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)

/** What the page loaded from anywhere but its own origin. */
const foreign = (page: Page) =>
  page.evaluate(() =>
    performance
      .getEntriesByType('resource')
      .map(({ name }) => name)
      .filter((name) => !name.startsWith('data:') && new URL(name).origin !== location.origin),
  )

/**
 * Holds the page that stands in the window to everything that can be measured: axe finds nothing in light and dark, on a
 * phone and on a desktop; it fits 320 pixels and letters of twice the size (WCAG 2.2, 1.4.4 and 1.4.10); it loads nothing from
 * another origin. Leaves a picture of each.
 * @param name of the pictures
 */
export async function examine(page: Page, name: string): Promise<void> {
  const folder = process.env['LOTSE_PICTURES']
  if (folder) await mkdir(folder, { recursive: true })
  for (const [size, viewport] of Object.entries(sizes)) {
    await page.setViewportSize(viewport)
    for (const colorScheme of schemes) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      assert.deepEqual(await violations(page), [], `${name}, ${size}, ${colorScheme}`)
      assert.ok((await overhang(page)) <= 0, `${name}: wider than its window, ${size}`)
      const file = `${name.replace(/[^\w]+/g, '-').replace(/-$/, '')}.${size}.${colorScheme}.png`
      if (folder) await page.screenshot({ path: join(folder, file), fullPage: true })
    }
  }
  await page.setViewportSize({ width: 320, height: 640 })
  assert.ok((await overhang(page)) <= 0, `${name}: wider than 320 pixels`)
  await withLargeLetters(page, async () => {
    for (const width of [390, 1280]) {
      await page.setViewportSize({ width, height: 900 })
      assert.ok((await overhang(page)) <= 0, `${name}: letters of twice the size do not fit ${width} pixels`)
    }
  })
  await page.setViewportSize(sizes.desktop)
  assert.deepEqual(await foreign(page), [], `${name}: asks another origin`)
}

async function withLargeLetters(page: Page, check: () => Promise<void>): Promise<void> {
  const debug = await page.context().newCDPSession(page)
  await debug.send('Page.setFontSizes', { fontSizes: { standard: 32, fixed: 26 } })
  await check()
  await debug.send('Page.setFontSizes', { fontSizes: { standard: 16, fixed: 13 } })
  await debug.detach()
}
