import { postFormPage } from './pages/index.ts'
import type { Parts } from './parts.ts'
import type { Context } from './proofs.ts'
import { onceOnly, sendPage, themeOf } from './render.ts'

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
const plain = (text = '') => text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => entities[name] ?? '')

/** Action and fields of the library's self-submitting page; undefined for any other body. */
function readForm(body: unknown): { action: string; fields: Record<string, string> } | undefined {
  if (typeof body !== 'string' || !body.includes('<title>Submitting Callback</title>')) return undefined
  const action = /<form method="post" action="([^"<>]*)">/.exec(body)?.[1]
  // An app's own scheme (RFC 8252, section 7.1) is no address that our pages would send anybody to.
  if (action === undefined || !/^https?:/.test(action)) return undefined
  const inputs = [...body.matchAll(/<input type="hidden" name="([^"<>]*)" value="([^"<>]*)"\/>/g)]
  return { action: plain(action), fields: Object.fromEntries(inputs.map(([, name, value]) => [name, plain(value)])) }
}

/**
 * Answers that leave by a form (OAuth 2.0 Form Post Response Mode) get our own page in place of the library's, which has neither
 * look nor language nor heading. The library registers its page before anybody else can, so the finished body is what is read:
 * https://github.com/panva/node-oidc-provider/blob/v9.13.3/lib/response_modes/form_post.js. A body that it does not know stays.
 */
export function dressFormPost(parts: Parts, ctx: Context): void {
  const form = readForm(ctx.body)
  if (!form) return
  const { status } = ctx
  const toClient = ctx.oidc.route === 'authorization' || ctx.oidc.route === 'resume'
  const client = toClient ? ctx.oidc.client?.clientId : undefined
  const label = client === undefined ? parts.look.brand.name : (parts.clients.get(client)?.label ?? client)
  sendPage(ctx, { ...postFormPage({ ...form, label }, onceOnly(themeOf(parts, ctx))), status })
}
