import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '../core/ports.ts'
import { type Page, securityHeaders } from '../http/pages/index.ts'

/** Answers with a page, under the same strict headers as the gateway's. */
export function sendPage(response: ServerResponse, page: Page): void {
  response.writeHead(page.status, { ...securityHeaders(page) }).end(page.body)
}

/** 303: what follows is a GET. */
export function redirect(response: ServerResponse, to: string): void {
  response.writeHead(303, { location: to, 'cache-control': 'no-store' }).end()
}

/** A form's fields; a body above 16 KiB is cut off and then means nothing. */
export async function readFields(request: IncomingMessage): Promise<URLSearchParams> {
  let body = ''
  for await (const chunk of request) {
    body += String(chunk)
    if (body.length > 16_384) return new URLSearchParams()
  }
  return new URLSearchParams(body)
}

/** An asynchronous handler as `http` wants it: what it throws is logged, and the visitor gets a plain 500. */
export function answering(
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
  log: Log,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    handle(request, response).catch((error: unknown) => {
      log('error', 'a page of the demo failed', { path: request.url?.split('?')[0], error: String(error) })
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' })
      response.end('This page of the demo failed; the terminal says more.\n')
    })
  }
}
