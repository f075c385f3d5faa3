// Sizes as people write them in a config: `32KB`, `1GB`. A kilobyte is 1024 bytes, as in nginx, Redis and `ls -h`;
// `KiB` is taken as the same. A number without a unit is refused: `client_max_body_size 10` has meant ten bytes to many.

const powers = ['B', 'KB', 'MB', 'GB', 'TB'] as const

/** What `parseByteSize` takes. */
export const byteSizePattern = /^\d+(\.\d+)?(B|KB|KiB|MB|MiB|GB|GiB|TB|TiB)$/

/** `32KB` as whole bytes; null for anything that is not a number and a unit. */
export function parseByteSize(text: string): number | null {
  if (!byteSizePattern.test(text)) return null
  const unit = text.replace(/^[\d.]+/, '').replace('i', '') as (typeof powers)[number]
  const bytes = Math.round(Number.parseFloat(text) * 1024 ** powers.indexOf(unit))
  return Number.isSafeInteger(bytes) ? bytes : null
}

/** Bytes in the largest unit that divides them: 32768 gives `32KB`. For messages and documents. */
export function formatByteSize(bytes: number): string {
  let power = 0
  let rest = bytes
  while (rest >= 1024 && rest % 1024 === 0 && power < powers.length - 1) {
    rest /= 1024
    power += 1
  }
  return `${rest}${powers[power]}`
}
