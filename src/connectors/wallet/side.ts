import type { Memo } from '../connector.ts'

/**
 * How a wallet gets a request: by a link on the device of the browser that asks, on another device by a QR code, or by that browser's own
 * Digital Credentials API.
 */
export type WalletWay = 'here' | 'elsewhere' | 'browser'

/** A request of a sign-in to a wallet: it is fetched once and answered once. */
export interface WalletRequest {
  /** Unguessable, in the URL-safe alphabet: whoever has it may fetch the request, and answer it. */
  readonly id: string
  readonly way: WalletWay
  /** The link holds all of it, so that nothing is to be fetched. */
  readonly whole?: true
}

/** What a sign-in by a wallet shows to the person who waits for it. */
export interface WalletView {
  /** Opens a wallet on this device. */
  readonly link: string
  /** What a QR code tells a wallet on another device; absent where that is not allowed. */
  readonly code?: string
  /** The id of the request for the browser's own API; absent where that is not allowed. */
  readonly browser?: string
  /** What is asked for, as people know it. */
  readonly asked: readonly { readonly label: string; readonly claims: readonly string[] }[]
  /** Unix seconds at which the requests end. */
  readonly until: number
}

/** What only wallets need of a connector. Neither verb believes anything of anybody. */
export interface WalletSide {
  view(memo: Memo): WalletView
  /**
   * The signed request object that a wallet fetches (RFC 9101).
   * @param asked `nonce`: the wallet's own, which comes back in what is signed (OpenID4VP 1.0, 5.10)
   * @throws {LoginError} `login_expired` where the sign-in has no such request
   */
  request(memo: Memo, asked: { readonly id: string; readonly nonce?: string }): string
}
