// Nano-dollars as people read them. Always from whole numbers: a division would round what must add up.

/** `$12.34`: rounded half up, away from zero, to so many digits behind the point. */
export function dollarsText(nano: number, places: number): string {
  const digits = Math.min(Math.max(places, 0), 9)
  const step = 10n ** BigInt(9 - digits)
  const size = BigInt(Math.abs(nano))
  const rounded = (size + step / 2n) / step
  const text = rounded.toString().padStart(digits + 1, '0')
  const sign = nano < 0 && rounded > 0n ? '-' : ''
  const whole = text.slice(0, text.length - digits).replace(/\B(?=(\d{3})+$)/g, ',')
  return `${sign}$${whole}${digits === 0 ? '' : `.${text.slice(text.length - digits)}`}`
}

/** All nine digits behind the point, as a plain number for machines: `0.000450000`. */
export function exactDollars(nano: number): string {
  return dollarsText(nano, 9).replace(/[$,]/g, '')
}

/** Digits behind the point with which each of these shows at least two of its own; 2 to 9. */
export function placesFor(amounts: readonly number[]): number {
  const smallest = amounts.reduce(
    (least, one) => (one === 0 ? least : Math.min(least, Math.abs(one))),
    Infinity,
  )
  if (smallest === Infinity) return 2
  return Math.min(9, Math.max(2, 11 - String(smallest).length))
}
