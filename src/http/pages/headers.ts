import type { Page } from './models.ts'

/**
 * The headers of a page. The policy allows nothing but the page's own style sheet and script, by hash, images from the
 * origin, and the form targets that the page names.
 */
export function securityHeaders(page: Page): Readonly<Record<string, string>> {
  return {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': policy(page),
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
    'Permissions-Policy': 'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
  }
}

function policy({ csp }: Page): string {
  const directives: readonly (readonly [string, readonly string[]])[] = [
    ['default-src', []],
    ['style-src', hashes(csp.styleHashes)],
    ['script-src', hashes(csp.scriptHashes)],
    ['connect-src', csp.asks ? ["'self'"] : []],
    ['img-src', ["'self'", 'data:']],
    ['form-action', csp.formAction],
    ['frame-ancestors', []],
    ['base-uri', []],
  ]
  return directives.map(([name, sources]) => `${name} ${sources.length > 0 ? sources.join(' ') : "'none'"}`).join('; ')
}

function hashes(values: readonly string[]): readonly string[] {
  return values.map((hash) => `'${hash}'`)
}
