import type { Grant } from '../../core/decision.ts'
import type { ErrorCode } from '../../core/errors.ts'
import type { Look } from './look.ts'
import type { Language } from './texts.ts'

/**
 * What a page looks like and which language it speaks: `{ look, language, here }`. `look` is made once per configuration.
 */
export interface Theme {
  readonly look: Look
  readonly language: Language
  /**
   * Path and query at which a GET shows this page again: the language switch goes there with `lang` set. Absent where
   * asking again would do harm or show something else (an answer from an upstream, the outcome of a POST): no switch then.
   */
  readonly here?: string
}

/** A finished document; `securityHeaders(page)` says which headers go with it. */
export interface Page {
  readonly status: number
  readonly title: string
  /** The whole document, from `<!doctype html>` on. */
  readonly body: string
  readonly csp: {
    /** Source expressions for `form-action`; empty: this page submits nothing. */
    readonly formAction: readonly string[]
    /** `sha256-…` of the inline scripts, without quotes. */
    readonly scriptHashes: readonly string[]
    /** Whether the page's script asks the gateway for more. */
    readonly asks: boolean
    /** `sha256-…` of the inline style sheet, without quotes. */
    readonly styleHashes: readonly string[]
  }
}

/** A form that is submitted to the gateway itself. */
export interface FormTarget {
  readonly action: string
  readonly hidden?: Readonly<Record<string, string>>
  /**
   * Source expressions (`https://sso.corp.example`) to which the answer may redirect: Chromium applies `form-action` to the
   * redirects after a submission too. `https:` by default, and `http:` only where `action` is itself an http URL.
   */
  readonly leadsTo?: readonly string[]
}

export interface ConnectorChoice {
  readonly label: string
  readonly hint?: string
  readonly href: string
  /** One to three characters; `markOf(label)` makes them. */
  readonly mark: string
}

/** "Where do you have your account?" */
export interface ChooserModel {
  readonly clientLabel: string
  /** The listed connectors, in the order of the configuration. */
  readonly connectors: readonly ConnectorChoice[]
  /** Present where unlisted connectors exist: a plain GET form; the words typed arrive as query parameter `organisation`. */
  readonly search?: FormTarget & { readonly value: string; readonly notFound: boolean }
  /** `href` of the connector that this browser used before: it moves to the top and says so. */
  readonly lastUsed?: string
}

/** "Where do you belong?" Asks by GET with the words as `q`; a choice is a link. */
export interface DiscoveryModel {
  readonly clientLabel: string
  /** The connector's label. */
  readonly federation: string
  readonly search: FormTarget & { readonly value: string }
  /** The best of those found; none before somebody searched in a federation of many. */
  readonly choices: readonly ConnectorChoice[]
  readonly total: number
  /** What this browser chose before, and where that is forgotten. */
  readonly last?: ConnectorChoice & { readonly forgetHref: string }
  readonly problem?: 'unknown'
  /** Back to the other ways of signing in. */
  readonly elsewhereHref?: string
}

/** "Enter the code from your command line. Posts `xsrf`, `user_code`. */
export interface DeviceEntryModel {
  readonly action: string
  readonly xsrf: string
  readonly value?: string
  readonly problem?: 'not_found' | 'too_many' | 'expired'
}

/** "Is this you?" Posts `xsrf`, `user_code`, and `abort=yes` or `confirm=yes`. */
export interface DeviceConfirmModel {
  readonly action: string
  readonly xsrf: string
  readonly userCode: string
  readonly clientLabel: string
  readonly targetLabel?: string
  /** The address that asked for the code, as text. */
  readonly askedFrom: string
  /** Unix seconds. */
  readonly askedAt: number
  /** Unix seconds. */
  readonly now: number
  /** As in `FormTarget`: after the confirmation the sign-in follows, which may leave for an upstream. */
  readonly leadsTo?: readonly string[]
}

export interface DeviceDoneModel {
  readonly clientLabel?: string
}

export interface DeviceDeclinedModel {
  readonly clientLabel?: string
}

export interface SignedOutModel {
  /** Where to sign in again, if that is known. */
  readonly againHref?: string
}

/** "Sign out?" Posts `xsrf` and, for yes, `logout=yes`; without it the session stays and the browser goes on. */
export interface LogoutConfirmModel {
  readonly action: string
  readonly xsrf: string
  readonly clientLabel?: string
  readonly leadsTo?: readonly string[]
}

/** Something failed: what happened, what to do, and the id that page, log and audit event share. */
export interface ErrorModel {
  readonly code: ErrorCode
  /** As in `LoginError`; those that the catalog has a label for are shown, all others are not. */
  readonly facts?: Readonly<Record<string, string>>
  readonly errorId: string
  /** Unix seconds. */
  readonly now: number
  /** What failed is over soon, and was a GET: the page asks for itself again. */
  readonly again?: 'by itself'
  readonly retryHref?: string
  /** The way back to the client, which is then told `access_denied`. */
  readonly leaveHref?: string
}

export interface ClaimLine {
  readonly name: string
  readonly values: readonly string[]
}

/** Signed in, but the decision gives nothing here. */
export interface RefusedModel {
  readonly error: 'nothing_granted' | 'forbidden'
  /** The connector's label. */
  readonly organisation: string
  readonly clientLabel?: string
  /** The person's own claims; the page shows the first 12 names with 8 values each and says how many are left out. */
  readonly claims: readonly ClaimLine[]
  /** What the person gets elsewhere; usually nothing. */
  readonly grants: readonly Grant[]
  /** The operator's own words (`because:` of a rule), where people may read them. Rule names never come here. */
  readonly because?: readonly string[]
  readonly reference: string
  /** Unix seconds. */
  readonly now: number
  /** The `acr` that would have given more. */
  readonly wantsAcr?: string
  /** Where to choose another account. */
  readonly retryHref?: string
  /** The way back to the client, which is then told `access_denied`. */
  readonly leaveHref?: string
}

/** A form that submits itself to another site: an upstream's form challenge, or an answer by form_post. */
export interface PostFormModel {
  readonly action: string
  readonly fields: Readonly<Record<string, string>>
  /** Whom the form goes to, as people know it. */
  readonly label: string
}

/** "Sign in with your wallet": waits for the answer of a wallet. */
export interface WalletModel {
  /** Opens a wallet on this device. */
  readonly link: string
  /** What a QR code says to a wallet on another device. */
  readonly code?: string
  /** The id of the request for the browser's own API, which posts what it brings to `answerTo` with `state`. */
  readonly browser?: string
  readonly answerTo: string
  readonly state: string
  /** What is asked for, as people know it. */
  readonly asked: readonly { readonly label: string; readonly claims: readonly string[] }[]
  /** The connector, as people know it. */
  readonly label: string
  readonly clientLabel: string
  /** The gateway's host, which the wallet shows too. */
  readonly here: string
  /** Unix seconds. */
  readonly until: number
  readonly retryHref?: string
  readonly leaveHref?: string
}

/** Nobody waits any more: too late, or it went on in another window. */
export interface WalletOverModel {
  readonly retryHref?: string
  readonly leaveHref?: string
}

/** Signed out here, and on the way to the upstream's own sign-out. */
export interface AwayModel {
  readonly href: string
  /** The upstream, as people know it. */
  readonly label: string
}

/** Somebody is signed in in this browser, perhaps not the one who is expected. Posts `choice=stay` or `choice=switch`. */
export interface OtherPersonModel extends FormTarget {
  readonly clientLabel: string
  /** The name under which the session runs. */
  readonly signedInAs: string
}
