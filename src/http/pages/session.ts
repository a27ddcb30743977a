import { html } from './html.ts'
import { badge, formSources, hiddenInputs, layout, textsOf } from './layout.ts'
import type { AwayModel, LogoutConfirmModel, OtherPersonModel, Page, SignedOutModel, Theme } from './models.ts'

/** The session has ended. */
export function signedOutPage(model: SignedOutModel, theme: Theme): Page {
  const t = textsOf(theme).signedOut
  return layout(theme, {
    heading: t.title,
    badge: badge('ok'),
    card: html`<p>${t.lead(theme.look.brand.name)}</p><p class="quiet">${t.advice}</p>
${model.againHref === undefined ? undefined : html`<p class="actions"><a class="button" href="${model.againHref}">${t.again}</a></p>`}`,
  })
}

/** Signed out here; the way leads on over the upstream's own sign-out. */
export function awayPage(model: AwayModel, theme: Theme): Page {
  const t = textsOf(theme).away
  return layout(theme, {
    heading: t.title(model.label),
    badge: badge('info'),
    card: html`<p class="quiet">${t.lead(theme.look.brand.name, model.label)}</p>
<p class="actions"><a class="button" href="${model.href}">${t.go}</a></p>`,
  })
}

/** The end of a logout that was declined. */
export function stillSignedInPage(theme: Theme): Page {
  const t = textsOf(theme).stillSignedIn
  return layout(theme, {
    heading: t.title,
    badge: badge('info'),
    card: html`<p>${t.lead(theme.look.brand.name)}</p><p class="quiet">${t.close}</p>`,
  })
}

/** Asks before a session ends: a link from anywhere must not sign people out. */
export function logoutConfirmPage(model: LogoutConfirmModel, theme: Theme): Page {
  const t = textsOf(theme).logoutConfirm
  return layout(theme, {
    heading: t.title,
    card: html`<p class="quiet">${t.lead(theme.look.brand.name)}</p>
${model.clientLabel === undefined ? undefined : html`<p>${t.asked(model.clientLabel)}</p>`}
<form method="post" action="${model.action}">
${hiddenInputs({ xsrf: model.xsrf })}
<div class="row"><button class="even">${t.no}</button><button name="logout" value="yes">${t.yes}</button></div>
</form>`,
    formAction: formSources(model),
  })
}

/** Asks whether the account that this browser is signed in with is the one to go on with. */
export function otherPersonPage(model: OtherPersonModel, theme: Theme): Page {
  const t = textsOf(theme).otherPerson
  return layout(theme, {
    heading: t.title,
    card: html`<p class="quiet">${t.lead(model.clientLabel)}</p>
<p class="todo"><strong dir="auto">${model.signedInAs}</strong></p>
<form method="post" action="${model.action}">
${hiddenInputs(model.hidden)}
<div class="row"><button class="even" name="choice" value="switch">${t.change}</button><button class="even" name="choice" value="stay">${t.stay}</button></div>
</form>`,
    formAction: formSources(model),
  })
}
