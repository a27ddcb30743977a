/* Of oidc-provider, what its published types do not know. */

declare module 'oidc-provider/lib/helpers/als.js' {
  import type { AsyncLocalStorage } from 'node:async_hooks'

  const storage: AsyncLocalStorage<object>
  export default storage
}

declare module 'oidc-provider/lib/helpers/router.js' {
  export type Middleware = (ctx: object, next: () => Promise<void>) => Promise<void>
  type Register = (this: Router, name: string, path: string, ...middleware: Middleware[]) => Router
  export default class Router {
    get: Register
    post: Register
    put: Register
    delete: Register
    options: Register
  }
}
