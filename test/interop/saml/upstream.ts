import type { Browser, Page } from '../../support/browser.ts'

/** A running SAML identity provider as its administrator and its people see it. `ada` and `bob` are there. */
export interface SamlUpstream {
  readonly name: string
  /** Where its metadata is. */
  readonly metadata: string
  /** Takes the gateway in by the address of its metadata. */
  trust(metadata: string, how: { readonly encrypted: boolean }): Promise<void>
  /** Takes a new signing key into use, and names it in its metadata from now on. */
  roll(): Promise<void>
  /** Fills its pages, from the first one to where the browser comes to rest. */
  signIn(who: Browser, page: Page, name: string): Promise<Page>
  /** The person signs out there, in her browser. */
  signOut(who: Browser): Promise<Page>
  /** Whether a page is the first one of a sign-in there. */
  asksWho(page: Page): boolean
  stop(): Promise<void>
}
