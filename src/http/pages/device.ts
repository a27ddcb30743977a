import { type Html, html } from './html.ts'
import { badge, formSources, hiddenInputs, layout, textsOf, time } from './layout.ts'
import type {
  DeviceConfirmModel,
  DeviceDeclinedModel,
  DeviceDoneModel,
  DeviceEntryModel,
  Page,
  Theme,
} from './models.ts'

/** Takes the code that a terminal shows. Where too many did not fit, there is no form to try another. */
export function deviceEntryPage(model: DeviceEntryModel, theme: Theme): Page {
  const t = textsOf(theme).deviceEntry
  const { problem } = model
  const notice = problem && html`<p class="notice" role="alert" id="problem">${t.problems[problem]}</p>`
  if (problem === 'too_many') {
    return layout(theme, { status: 429, heading: t.title, badge: badge('no'), card: html`${notice}` })
  }
  return layout(theme, {
    status: problem ? 400 : 200,
    heading: t.title,
    card: html`<p class="quiet">${t.lead}</p>
${notice}
<form method="post" action="${model.action}">
${hiddenInputs({ xsrf: model.xsrf })}
<label for="user_code">${t.label}</label>
${codeInput(model)}
<p class="small quiet" id="example">${t.example}</p>
<button class="block">${t.go}</button>
</form>`,
    below: html`<p class="small quiet under">${t.warning}</p>`,
    formAction: ["'self'"],
  })
}

function codeInput({ value = '', problem }: DeviceEntryModel): Html {
  const described = problem ? 'problem example' : 'example'
  return html`<input class="code" id="user_code" name="user_code" value="${value}" required maxlength="40" autocomplete="off" autocapitalize="characters" spellcheck="false" aria-describedby="${described}" aria-invalid="${problem ? 'true' : 'false'}">`
}

/**
 * Who asks, from where and since when; both answers look the same and declining comes first, so that a person whom
 * somebody lured here is not led to say yes.
 * @see RFC 10027 section 6.1
 */
export function deviceConfirmPage(model: DeviceConfirmModel, theme: Theme): Page {
  const t = textsOf(theme).deviceConfirm
  const target = model.targetLabel === undefined ? undefined : html`<dt>${t.target}</dt><dd>${model.targetLabel}</dd>`
  return layout(theme, {
    heading: t.title,
    card: html`<p class="quiet">${t.lead}</p>
<p class="code"><span aria-hidden="true">${model.userCode}</span><span class="sr">${t.code}: ${spelled(model.userCode)}</span></p>
<dl><dt>${t.program}</dt><dd>${model.clientLabel}</dd>${target}<dt>${t.from}</dt><dd class="mono">${model.askedFrom}</dd><dt>${t.at}</dt><dd>${ago(model, theme)}</dd></dl>
<p class="notice" id="warning">${t.warning}</p>
<form method="post" action="${model.action}" aria-describedby="warning">
${hiddenInputs({ xsrf: model.xsrf, user_code: model.userCode })}
<div class="row"><button class="even" name="abort" value="yes">${t.decline}</button><button class="even" name="confirm" value="yes">${t.confirm}</button></div>
</form>`,
    formAction: formSources(model),
  })
}

/** The code letter by letter, as a screen reader should say it. */
function spelled(code: string): string {
  return [...code].map((char) => (char === '-' ? ',' : ` ${char}`)).join('')
}

function ago({ askedAt, now }: DeviceConfirmModel, theme: Theme): Html {
  const seconds = Math.max(0, now - askedAt)
  if (seconds < 45) return html`${textsOf(theme).ago.now}`
  if (!(seconds < 5400)) return time(theme, askedAt)
  const words = new Intl.RelativeTimeFormat(theme.language).format(-Math.max(1, Math.round(seconds / 60)), 'minute')
  return html`${words}`
}

/** The code was confirmed and the sign-in has succeeded. */
export function deviceDonePage(model: DeviceDoneModel, theme: Theme): Page {
  const t = textsOf(theme).deviceDone
  return layout(theme, {
    heading: t.title,
    badge: badge('ok'),
    card: html`<p>${t.lead(model.clientLabel ?? t.client)}</p><p class="quiet">${t.close}</p>`,
  })
}

/** The person has declined; what to tell whom, if somebody else had asked. */
export function deviceDeclinedPage(model: DeviceDeclinedModel, theme: Theme): Page {
  const t = textsOf(theme).deviceDeclined
  return layout(theme, {
    heading: t.title,
    badge: badge('no'),
    card: html`<p>${t.lead(model.clientLabel ?? t.client)}</p><p class="quiet">${t.advice}</p>`,
  })
}
