/** A colour as `#rrggbb`. */
export type Hex = `#${string}`

type Rgb = readonly [number, number, number]

/**
 * How well two colours can be told apart, 1 to 21.
 * @see WCAG 2.2, "contrast ratio"; 4.5 for text, 3 for what marks a control
 */
export function contrast(one: Hex, other: Hex): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number]
  return (light + 0.05) / (dark + 0.05)
}

/** `share` (0 to 1) of `one`, the rest `other`. */
export function mix(one: Hex, other: Hex, share: number): Hex {
  const [from, to] = [rgb(other), rgb(one)]
  return hex([0, 1, 2].map((i) => (from[i] ?? 0) + ((to[i] ?? 0) - (from[i] ?? 0)) * share) as unknown as Rgb)
}

/**
 * `color`, made lighter or darker by the least step of 2 % of lightness (HSL) after which it reads with at least `ratio` on
 * all `grounds`; hue and saturation stay, so that it is still the operator's colour.
 */
export function readable(
  color: Hex,
  towards: 'lighter' | 'darker',
  ratio: number,
  grounds: (shade: Hex) => readonly Hex[],
): Hex {
  const [hue, saturation, lightness] = hsl(rgb(color))
  const step = towards === 'lighter' ? 0.02 : -0.02
  for (let now = lightness; now > 0 && now < 1; now += step) {
    const shade = now === lightness ? color : fromHsl([hue, saturation, now])
    if (grounds(shade).every((ground) => contrast(shade, ground) >= ratio)) return shade
  }
  return towards === 'lighter' ? '#ffffff' : '#000000'
}

/** Whichever of the two reads better on `ground`. Black or white: always at least 4.58. */
export function inkOn(ground: Hex, one: Hex = '#ffffff', other: Hex = '#000000'): Hex {
  return contrast(one, ground) >= contrast(other, ground) ? one : other
}

function rgb(color: Hex): Rgb {
  const number = Number.parseInt(color.slice(1), 16)
  return [number >> 16, (number >> 8) & 255, number & 255]
}

/** Hue in sixths of the circle, saturation and lightness 0 to 1. */
function hsl(color: Rgb): Rgb {
  const [red, green, blue] = color.map((part) => part / 255) as unknown as Rgb
  const most = Math.max(red, green, blue)
  const span = most - Math.min(red, green, blue)
  const lightness = most - span / 2
  if (span === 0) return [0, 0, lightness]
  const hue =
    most === red ? (green - blue) / span + 6 : most === green ? (blue - red) / span + 2 : (red - green) / span + 4
  return [hue % 6, span / (1 - Math.abs(2 * lightness - 1)), lightness]
}

function fromHsl([hue, saturation, lightness]: Rgb): Hex {
  const reach = saturation * Math.min(lightness, 1 - lightness)
  const part = (offset: number) => {
    const place = (offset + hue * 2) % 12
    return 255 * (lightness - reach * Math.max(-1, Math.min(place - 3, 9 - place, 1)))
  }
  return hex([part(0), part(8), part(4)])
}

function hex(parts: Rgb): Hex {
  return `#${parts.map((part) => Math.round(part).toString(16).padStart(2, '0')).join('')}`
}

function luminance(color: Hex): number {
  const linear = rgb(color).map((part) => {
    const share = part / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  }) as unknown as Rgb
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}
