import encodeQR from 'qr'
import { type Html, html } from './html.ts'

/** Light modules around a code, which readers need (ISO/IEC 18004, 9.1). */
const QUIET = 4

/** A QR code as a picture of its own, black on white whatever the theme is. @param label what it is, for those who do not see it */
export function qrCode(text: string, label: string): Html {
  const rows = encodeQR(text, 'raw', { ecc: 'low', border: QUIET })
  const path = rows.flatMap((row, y) => runs(row).map(([x, width]) => `M${x} ${y}h${width}v1h-${width}z`)).join('')
  const size = rows.length
  return html`<svg class="qr" viewBox="0 0 ${size} ${size}" role="img" aria-label="${label}" shape-rendering="crispEdges"><rect width="${size}" height="${size}" fill="#fff"/><path fill="#000" d="${path}"/></svg>`
}

/** Where dark modules begin in a row, and how many stand together. */
function runs(row: readonly boolean[]): readonly (readonly [number, number])[] {
  const found: (readonly [number, number])[] = []
  let from = 0
  row.forEach((dark, x) => {
    if (!dark) from = x + 1
    else if (!row[x + 1]) found.push([from, x + 1 - from])
  })
  return found
}
