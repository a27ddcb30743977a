import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

/** A person's window: nothing that she does may leave the hosts of the test, and no page may break its own policy. */
export interface Person {
  readonly context: BrowserContext
  readonly page: Page
  /** Every address that was asked, oldest first. */
  readonly asked: readonly string[]
  /** What the console said that a page of ours must never make it say. */
  readonly complaints: string[]
}

export interface Chrome {
  readonly browser: Browser
  /** Opens a window with no memory, hands it over, closes it; then nothing may have left the test or broken a policy. */
  as(options: BrowserContextOptions, walk: (person: Person) => Promise<void>): Promise<void>
  close(): Promise<void>
}

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Whatever a page would like to fetch from elsewhere is not even resolved.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
]

const hosts: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost'])

/** Starts Debian's Chromium with an empty profile. */
export async function startChrome(): Promise<Chrome> {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-chrome-'))
  // Its own home: no profile, no settings, no cache of the user who runs the tests.
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, TMPDIR: folder }
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags, env })
  return {
    browser,
    async as(options, walk) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-GB', ...options })
      context.setDefaultTimeout(20_000)
      const asked: string[] = []
      const complaints: string[] = []
      context.on('request', (request) => asked.push(request.url()))
      context.on('console', (message) => {
        if (/content security policy|refused to|violat|mixed content/i.test(message.text()))
          complaints.push(message.text())
      })
      context.on('weberror', (error) => complaints.push(String(error.error())))
      try {
        await walk({ context, page: await context.newPage(), asked, complaints })
        const elsewhere = asked.filter((url) => !url.startsWith('data:') && !hosts.has(new URL(url).hostname))
        assert.deepEqual(elsewhere, [], 'a request left the hosts of the test')
        assert.deepEqual(complaints, [], 'a page broke its own policy')
      } finally {
        await context.close()
      }
    },
    async close() {
      await browser.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
