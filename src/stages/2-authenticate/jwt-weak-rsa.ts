// RSA keys that are known to be weak though they are long. Moduli made by Infineon's library (ROCA, CVE-2017-15361) can be
// factored, and give themselves away: their remainders by small primes are all powers of 65537. A random modulus passes
// for one of them about once in 2^27.

const primes = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
  109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
]

/** Whether this modulus has the mark of ROCA. */
export function isRoca(modulus: Uint8Array): boolean {
  return primes.every((prime) => isPowerOf65537(remainder(modulus, prime), prime))
}

function remainder(bytes: Uint8Array, divisor: number): number {
  let rest = 0
  for (const byte of bytes) rest = (rest * 256 + byte) % divisor
  return rest
}

function isPowerOf65537(value: number, prime: number): boolean {
  const base = 65537 % prime
  let power = 1
  for (let step = 0; step < prime; step++) {
    if (power === value) return true
    power = (power * base) % prime
  }
  return false
}
