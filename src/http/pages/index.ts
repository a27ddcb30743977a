/**
 * The pages that people see. Each is a pure function of what it shows and of the theme; nothing here reads a request, a
 * clock or the configuration. A route sends `page.body` with `page.status` and `securityHeaders(page)`.
 */
export { chooserPage } from './chooser.ts'
export { deviceConfirmPage, deviceDeclinedPage, deviceDonePage, deviceEntryPage } from './device.ts'
export { discoveryPage } from './discovery.ts'
export { errorPage } from './error.ts'
export { securityHeaders } from './headers.ts'
export { pickLanguage } from './language.ts'
export { type Brand, createLook, type Look, markOf } from './look.ts'
export type * from './models.ts'
export { refusedPage } from './refused.ts'
export { awayPage, logoutConfirmPage, otherPersonPage, signedOutPage, stillSignedInPage } from './session.ts'
export type { Language } from './texts.ts'
export { postFormPage } from './transfer.ts'
export { walletOverPage, walletPage } from './wallet.ts'
