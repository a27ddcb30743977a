import type { ErrorCode } from '../../core/errors.ts'

/** What a person reads when something failed. */
export interface ErrorText {
  readonly title: string
  /** What happened. */
  readonly what: string
  /** What to do. */
  readonly todo: string
}

/** The error texts in English. */
export const errorsEn: Readonly<Record<ErrorCode, ErrorText>> = {
  upstream_rejected: {
    title: 'Your organisation did not confirm you',
    what: 'Your organisation refused the sign-in, or its answer did not pass our checks.',
    todo: 'Try again. If it stays this way, ask the help desk of your organisation and give them the reference.',
  },
  upstream_unavailable: {
    title: 'Your organisation cannot be reached',
    what: 'The sign-in service of your organisation does not answer, or answers with an error of its own.',
    todo: 'Try again in some minutes. If it stays this way, ask the help desk of your organisation.',
  },
  upstream_declined: {
    title: 'Sign-in was cancelled',
    what: 'The sign-in at your organisation was declined or left before it was finished.',
    todo: 'If that was not what you wanted, try again.',
  },
  credential_revoked: {
    title: 'Your credential is no longer valid',
    what: 'Whoever issued the credential in your wallet has revoked or suspended it.',
    todo: 'Ask the organisation that issued it for a new one, or use another credential.',
  },
  acr_not_met: {
    title: 'A stronger sign-in is needed',
    what: 'Your organisation confirmed you, but not as strongly as this needs, for example without a second factor.',
    todo: 'Try again and use a second factor. If you are not asked for one, ask the help desk of your organisation.',
  },
  nothing_granted: {
    title: 'Nothing is granted to you here',
    what: 'You are signed in, but no rule of the operator gives your account anything here.',
    todo: 'Send the reference to your administrator, or use another account.',
  },
  forbidden: {
    title: 'You may not enter here',
    what: 'You are signed in, but a rule of the operator refuses your account here.',
    todo: 'If you think that is wrong, send the reference to your administrator.',
  },
  claims_unusable: {
    title: 'Your organisation said too little, or too much',
    what: 'What your organisation says about you cannot be used: something needed is missing, or it is too long.',
    todo: 'Send the reference to your administrator; only the operator and your organisation can repair this.',
  },
  grants_too_large: {
    title: 'You have more access than fits into one sign-in',
    what: 'Your projects, roles and groups do not fit into what this service can read.',
    todo: 'Send the reference to your administrator; fewer groups, or other rules, will help.',
  },
  login_expired: {
    title: 'This sign-in is over',
    what: 'It took too long, was already finished, or belongs to a page that you had open before.',
    todo: 'Start again from the page or program that you want to use.',
  },
  wrong_browser: {
    title: 'This sign-in was begun in another browser',
    what: 'The answer from your organisation arrived in a browser that did not ask for it. We stopped, to protect you.',
    todo: 'Start again and stay in one browser. If somebody sent you the link, do not use it.',
  },
  unknown_connector: {
    title: 'This organisation is not known here',
    what: 'No sign-in is set up under this name.',
    todo: 'Check the link, or choose your organisation from the sign-in page.',
  },
  not_found: {
    title: 'There is no page here',
    what: 'The address is wrong, or the page no longer exists.',
    todo: 'Check the address, or start again from the page or program that you want to use.',
  },
  method_not_allowed: {
    title: 'This page cannot be used that way',
    what: 'The address exists, but it does not take this kind of request.',
    todo: 'Start again from the page or program that you want to use.',
  },
  bad_request: {
    title: 'This request cannot be understood',
    what: 'Something in the request is missing or does not fit.',
    todo: 'Start again. If it stays this way, tell the people who run the program that sent you here.',
  },
  too_large: {
    title: 'This is too large',
    what: 'The request or the answer from your organisation is larger than we accept.',
    todo: 'Try again. If it stays this way, send the reference to your administrator.',
  },
  too_many_attempts: {
    title: 'Too many attempts',
    what: 'There were too many attempts in a short time, so we stopped listening for a while.',
    todo: 'Wait some minutes, then try again.',
  },
  unavailable: {
    title: 'Sign-in is not available right now',
    what: 'A part that signing in needs is out of order on our side.',
    todo: 'Try again in some minutes. Who is signed in already can go on working.',
  },
  internal: {
    title: 'Something went wrong on our side',
    what: 'That was our mistake, not yours.',
    todo: 'Try again. If it stays this way, send the reference to the people who run this service.',
  },
}
