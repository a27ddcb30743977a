import type { Browser, Page } from '../../support/browser.ts'

/** Where the gateway wants to be reached by the upstream, for one connector. */
export interface Registration {
  readonly clientId: string
  readonly secret: string
  readonly callback: string
  readonly returned: string
  /** Absent: the upstream never calls. */
  readonly back?: string
}

/** A running OpenID provider as its administrator and its people see it. */
export interface Upstream {
  readonly name: string
  readonly issuer: string
  /** The scope that a connector asks for. */
  readonly scope: string
  /** Makes the gateway a client. */
  register(registration: Registration): Promise<void>
  /** Somebody new, in these groups. */
  addPerson(name: string, groups: readonly string[]): Promise<void>
  leaveGroup(name: string, group: string): Promise<void>
  disable(name: string): Promise<void>
  /** What an administrator does to end somebody's access at once. */
  endSession(name: string): Promise<void>
  /** Fills the upstream's own sign-in pages, from the first one to where the gateway sends the browser on. */
  signIn(who: Browser, page: Page, name: string): Promise<Page>
  /** Whether a page is the first one of a sign-in there. */
  asksWho(page: Page): boolean
}
