import type { Kind } from './store.ts'

/**
 * Everything that the gateway stores. What a crash may cost is one sign-in in flight, which the person begins again; all that
 * somebody was told to keep (a session, a token, a confirmed device), and all that must never happen twice over a crash, is durable.
 */
export const kinds = {
  /** A browser's single sign-on; alias: its uid. Groups: `session:UID`, `proof:ID`. */
  Session: { name: 'Session', durable: true, lapses: true },
  /** What a person let a client do. Groups: `grant:ID`, `session:UID`, `proof:ID`, `client:ID`. */
  Grant: { name: 'Grant', durable: true, lapses: true },
  /** Works for weeks; a consumed one must stay consumed. */
  RefreshToken: { name: 'RefreshToken', durable: true, lapses: true },
  /** Opaque ones; told to a client, so kept. */
  AccessToken: { name: 'AccessToken', durable: true, lapses: true },
  ClientCredentials: { name: 'ClientCredentials', durable: true, lapses: true },
  /** A terminal waits for it for minutes and cannot begin again by itself; alias: the user code. */
  DeviceCode: { name: 'DeviceCode', durable: true, lapses: true },
  /** JWT access tokens that were given back, by jti: the tokens themselves are not stored. */
  RevokedToken: { name: 'RevokedToken', durable: true },
  /** A jti that was seen, and a logout that was heard, must stay so: an attacker may choose the moment of a crash. */
  ReplayDetection: { name: 'ReplayDetection', durable: true },
  /** A crash destroys it, and so never makes it usable again: lives a minute, the client begins again. */
  AuthorizationCode: { name: 'AuthorizationCode', durable: false, lapses: true },
  PushedAuthorizationRequest: { name: 'PushedAuthorizationRequest', durable: false, lapses: true },
  Interaction: { name: 'Interaction', durable: false, lapses: true },
  /** A sign-in that waits for its upstream's answer, by `state`. */
  Pending: { name: 'Pending', durable: false, lapses: true },
  /** An upstream's answer that came by a cross-site POST and waits for the GET of its browser, by ticket. */
  Parked: { name: 'Parked', durable: false, lapses: true },
  /** A request to a wallet that waits to be fetched or to be answered, by its id. */
  WalletTurn: { name: 'WalletTurn', durable: false, lapses: true },
  /** An answer of a wallet on another device that the page of its sign-in has yet to fetch: its ticket, by `state`. */
  WalletAnswer: { name: 'WalletAnswer', durable: false, lapses: true },
  /** The strength that the rules want of a sign-in before it gives anything, by the sign-in's uid. */
  Wanted: { name: 'Wanted', durable: false, lapses: true },
  /** What an upstream proved (or why not), between its answer and the end of the sign-in in the same browser. */
  Proven: { name: 'Proven', durable: false, lapses: true },
  /** Counters against guessing; they count minutes, and a crash is not the guesser's to make. */
  Attempts: { name: 'Attempts', durable: false },
  /** The upstream's answer on which tokens rest. Groups: see lifecycle/proofs.ts. */
  Proof: { name: 'Proof', durable: true, lapses: true },
  /** When a proof was proven that is past its grace and whose upstream does not answer; -1 where it cannot be asked. By the proof's id. */
  Silent: { name: 'Silent', durable: true },
  /** Something that is to end, and why; until all of it has ended. */
  Ending: { name: 'Ending', durable: true },
  /** When a person or a connector was ended last: sign-ins that began before do not count any more. */
  EndedAt: { name: 'EndedAt', durable: true },
  /** A line that the audit log has yet to take about something that ended. */
  EndLine: { name: 'EndLine', durable: true },
  /** Which process asks an upstream about a proof at this moment. */
  Recheck: { name: 'Recheck', durable: false },
  /** Where a person goes on who is away signing out of an upstream, by `state`. */
  Returning: { name: 'Returning', durable: false },
  /** What the gateway wrote at a target for one person, by target and sub. Without end: by it the person is let in again years later. */
  Account: { name: 'Account', durable: true },
  /** Whom to look at: what she has at targets may not be what she is to have. */
  Due: { name: 'Due', durable: true },
  /** When the rules give somebody less although her proof holds, by sub. Groups: `leases:MINUTE`. */
  LeaseEnd: { name: 'LeaseEnd', durable: true },
  /** Which process works on an account at this moment; durable, so that a command beside the gateway sees it. */
  Settling: { name: 'Settling', durable: true },
  /** Upstreams' metadata as it was last found good, by connector; until its own end. */
  Metadata: { name: 'Metadata', durable: true },
  /** Signing keys, sealed. */
  Ring: { name: 'Ring', durable: true },
  /** A process that serves, by its id; while it is heard of. */
  Process: { name: 'Process', durable: true },
  /** Logout tokens that clients have yet to take. */
  LogoutQueue: { name: 'LogoutQueue', durable: true },
} as const satisfies Readonly<Record<string, Kind>>
