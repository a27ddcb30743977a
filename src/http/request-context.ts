import Provider, { type Configuration } from 'oidc-provider'
import storage from 'oidc-provider/lib/helpers/als.js'
import Router, { type Middleware } from 'oidc-provider/lib/helpers/router.js'

const CONTEXT = Symbol('oidc')
const METHODS = ['get', 'post', 'put', 'delete', 'options'] as const

/**
 * A Provider whose requests carry `ctx.oidc` in a field, with one getter for all of them. The library defines a getter of its own on each
 * request's `ctx`: V8 puts such a getter where only a full collection looks, so that all of a request outlived it for that long (60 KB of a
 * sign-in), and turns `ctx` into a slow object. The step that does so is the first of each route, and is ours here.
 * @see https://github.com/panva/node-oidc-provider/blob/v9.13.3/lib/helpers/initialize_app.js#L71
 */
export function openProvider(issuer: string, configuration: Configuration): Provider {
  const ensureOIDC: Middleware = (ctx, next) => {
    Object.assign(ctx, { [CONTEXT]: new provider.OIDCContext(ctx as never) })
    return storage.run(ctx, next)
  }
  const provider = withFirst(ensureOIDC, () => new Provider(issuer, configuration))
  Object.defineProperty(provider.context, 'oidc', {
    get(this: { readonly [CONTEXT]?: unknown }) {
      return this[CONTEXT]
    },
  })
  return provider
}

/** Runs `build` while every route that is made begins with another step. It does not wait, so that nobody else's routes are made meanwhile. */
function withFirst<T>(step: Middleware, build: () => T): T {
  const own = METHODS.map((method) => [method, Router.prototype[method]] as const)
  for (const [method, register] of own)
    Router.prototype[method] = function (name, path, _first, ...rest) {
      return register.call(this, name, path, step, ...rest)
    }
  try {
    return build()
  } finally {
    for (const [method, register] of own) Router.prototype[method] = register
  }
}
