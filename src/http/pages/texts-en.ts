import { errorsEn } from './error-texts-en.ts'

/** The texts in English; their shape is what every language must have. */
export const en = {
  footer: {
    label: 'About this page',
    languages: 'Language',
    imprint: 'Legal notice',
    privacy: 'Privacy',
    help: 'Help',
  },
  words: {
    back: 'Back to the program',
    reference: 'Reference',
    time: 'Time',
    more: (count: number) => `and ${count} more`,
  },
  chooser: {
    title: (cloud: string) => `Sign in to ${cloud}`,
    lead: (client: string) => `${client} wants to know who you are. Where do you have your account?`,
    last: 'last used',
    otherHeading: 'Another organisation?',
    label: 'Your e-mail domain or the name of your organisation',
    example: 'For example: university.example',
    find: 'Find',
    notFound: (value: string) =>
      `No organisation answers to “${value}”. Check the spelling, or ask your administrator for the link to sign in.`,
    note: (cloud: string) => `You will be sent to your organisation. ${cloud} never sees your password.`,
  },
  discovery: {
    title: 'Find your organisation',
    lead: (client: string, federation: string) =>
      `${client} wants to know who you are. Choose the organisation in ${federation} where you have your account.`,
    last: 'last used',
    forget: 'Forget this choice',
    label: 'Name or domain of your organisation',
    example: 'Part of the name is enough, such as “giessen”; so is your e-mail address.',
    find: 'Find',
    list: 'Organisations',
    count: (total: number) => (total === 1 ? 'One organisation' : `${total} organisations`),
    more: (shown: number, total: number) => `The first ${shown} of ${total}. Type more to narrow it down.`,
    nothing: (words: string) =>
      `No organisation answers to “${words}”. Check the spelling, or try another word of its name.`,
    unknown: 'The organisation you were sent here for is not known here. Look for yours below.',
    elsewhere: 'Sign in another way',
  },
  deviceEntry: {
    title: 'Connect a command line',
    lead: 'Type in the code that your terminal shows.',
    label: 'Code',
    example: 'Eight letters; the dash may be left out.',
    go: 'Continue',
    warning: 'Use only a code that you asked for yourself. Whoever sends you one wants to act as you.',
    problems: {
      not_found: 'This code is not known or was already used. Compare it with your terminal.',
      expired: 'This code has expired. Start the command again and type in the new code.',
      too_many: 'Too many codes did not fit. Wait some minutes, then start the command again.',
    },
  },
  deviceConfirm: {
    title: 'Is this your command line?',
    lead: 'Compare this code with the one in your terminal.',
    code: 'Code',
    program: 'Program',
    target: 'For',
    from: 'Asked from',
    at: 'Asked',
    warning:
      'Did somebody send you this code or a link with it? Then decline: that person would be able to act as you.',
    decline: 'No, decline',
    confirm: 'Yes, this is me',
  },
  deviceDone: {
    title: 'Your command line is connected',
    lead: (client: string) => `${client} goes on by itself in a few seconds.`,
    client: 'Your program',
    close: 'You can close this window.',
  },
  deviceDeclined: {
    title: 'Declined',
    lead: (client: string) => `${client} did not get access.`,
    client: 'The program',
    advice:
      'If somebody sent you the code, tell the people who run your cloud. If you declined by mistake, start the command again.',
  },
  signedOut: {
    title: 'You are signed out',
    lead: (cloud: string) => `Your session at ${cloud} has ended.`,
    advice:
      'You may still be signed in at your organisation. On a shared computer, sign out there too and close the browser.',
    again: 'Sign in again',
  },
  stillSignedIn: {
    title: 'You are still signed in',
    lead: (cloud: string) => `Nothing has ended: your session at ${cloud} goes on.`,
    close: 'You can close this window.',
  },
  logoutConfirm: {
    title: 'Sign out?',
    lead: (cloud: string) => `This ends your session at ${cloud} and at the services that you reached through it.`,
    asked: (client: string) => `${client} asks for it.`,
    yes: 'Sign out',
    no: 'Stay signed in',
  },
  otherPerson: {
    title: 'Go on with this account?',
    lead: (client: string) => `You want to sign in to ${client}. In this browser somebody is signed in already:`,
    stay: 'Go on with it',
    change: 'Use another account',
  },
  away: {
    title: (label: string) => `Signing out of ${label}`,
    lead: (brand: string, label: string) =>
      `You are signed out of ${brand}. ${label} is next, so that nobody can come back in by it.`,
    go: 'Go on',
  },
  postForm: {
    title: (label: string) => `On to ${label}`,
    lead: (label: string) => `You are being sent to ${label}. If nothing happens, press the button.`,
    go: 'Continue',
  },
  wallet: {
    title: (label: string) => `Sign in with ${label}`,
    lead: (client: string) => `${client} wants to know who you are. Your wallet will ask you before it shows this:`,
    by: 'Asked by',
    for: 'For',
    until: 'Until',
    open: 'Open the wallet on this device',
    browser: 'Choose a wallet in this browser',
    browserFailed: 'No wallet answered. Start again to try once more.',
    elsewhere: 'Is your wallet on another device?',
    scan: 'Scan this code with your wallet. This page goes on by itself afterwards.',
    code: 'QR code for a wallet on another device',
    warning:
      'Scan the code below only if you yourself opened this page just now. Did somebody send you this code, or show it to you elsewhere? Then do not: that person would be signed in as you.',
    waiting: 'Waiting for your wallet. Compare the name that it shows with the one above.',
    retry: 'Start again',
  },
  walletOver: {
    title: 'Nobody waits for a wallet here any more',
    lead: 'You went on in another window, or it took longer than a request may wait.',
    close: 'If you are signed in elsewhere already, close this window.',
    retry: 'Start again',
  },
  error: {
    todo: 'What you can do',
    retry: 'Try again',
    again: 'Wait a moment: this page tries again by itself. Who is signed in already can go on working.',
    facts: {
      organisation: 'Organisation',
      client: 'Program',
      target: 'For',
      acr: 'Needed assurance',
      claim: 'Claim',
    } as Readonly<Record<string, string>>,
  },
  refused: {
    titles: {
      nothing_granted: 'You are signed in, but nothing is granted to you here',
      forbidden: 'You are signed in, but a rule keeps you out here',
    },
    lead: (organisation: string) => `${organisation} has confirmed who you are.`,
    reasons: {
      nothing_granted: (client: string) => `None of the operator's rules gives this account anything at ${client}.`,
      forbidden: (client: string) => `A rule of the operator refuses this account at ${client}.`,
    },
    client: 'this service',
    said: 'What your organisation said about you',
    nothingSaid: 'Nothing beyond your account',
    empty: 'empty',
    get: 'What you get',
    nothing: 'No project, no role, no group',
    elsewhere: 'Elsewhere:',
    words: 'In the words of the operator',
    acr: (acr: string) => `A stronger sign-in (${acr}) would give you more.`,
    todo: 'Show this page to your administrator, or send the reference. With it they can see which rules were looked at.',
    retry: 'Use another account',
    grants: {
      project: 'project',
      domain: 'domain',
      namespace: 'namespace',
      cluster: 'whole cluster',
      group: 'group',
    },
  },
  ago: { now: 'just now' },
  errors: errorsEn,
}

export type Texts = typeof en
