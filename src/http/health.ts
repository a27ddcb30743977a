import Koa, { type Context } from 'koa'
import type { Metrics } from './metrics.ts'

/** Milliseconds after which a part that does not answer counts as down (law 4). */
const PATIENCE = 1000

/** One check for all who ask at the same time: a hung store gathers one waiting call, not one for every probe. */
function shared(check: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => {
    running ??= Promise.resolve()
      .then(check)
      .finally(() => {
        running = undefined
      })
    return running
  }
}

async function within(milliseconds: number, work: Promise<void>): Promise<'ready' | 'unavailable'> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'unavailable'>((resolve) => {
    timer = setTimeout(resolve, milliseconds, 'unavailable')
  })
  const answer = work.then(
    () => 'ready' as const,
    () => 'unavailable' as const, // why is the log's business; a probe needs to know only that
  )
  const state = await Promise.race([answer, late])
  clearTimeout(timer)
  return state
}

type Answer = (context: Context) => Promise<void> | void

function operationsRoutes(options: OperationsOptions): Readonly<Record<string, Answer>> {
  const ready = shared(options.ready)
  return {
    '/healthz': (context) => {
      context.body = { status: 'alive' }
    },
    '/readyz': async (context) => {
      const status = await within(options.patience ?? PATIENCE, ready())
      context.status = status === 'ready' ? 200 : 503
      const metadata = Object.entries(options.standing?.() ?? {})
      context.body = { status, ...(metadata.length > 0 ? { metadata: Object.fromEntries(metadata) } : {}) }
    },
    '/metrics': async (context) => {
      const { type, body } = await options.metrics.text()
      context.set('Content-Type', type)
      context.body = body
    },
  }
}

export interface OperationsOptions {
  readonly metrics: Pick<Metrics, 'text'>
  /** Resolves where the gateway can serve now: the store takes a write. */
  readonly ready: () => Promise<void>
  /** What is known of upstreams by their metadata, by connector. It is told, and old metadata of one keeps nobody else from signing in. */
  readonly standing?: () => Readonly<Record<string, unknown>>
  /** Milliseconds that `ready` may take; 1,000 where absent. */
  readonly patience?: number
}

/**
 * The endpoints for operators: `/healthz` (the process lives), `/readyz` (200 or 503 within a second) and `/metrics`.
 * They tell nothing about people. Which connectors and targets there are they do tell: they belong on the second listener, away from the public.
 */
export function operationsApp(options: OperationsOptions): Koa {
  const routes = operationsRoutes(options)
  const app = new Koa()
  app.silent = true
  app.use(async (context) => {
    const answer = routes[context.path]
    context.set('Cache-Control', 'no-store')
    context.set('X-Content-Type-Options', 'nosniff')
    if (answer === undefined) return
    if (context.method !== 'GET' && context.method !== 'HEAD') {
      context.status = 405
      context.set('Allow', 'GET, HEAD')
      return
    }
    await answer(context)
  })
  return app
}
