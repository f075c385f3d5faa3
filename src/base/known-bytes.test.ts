import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { Finding, KnownBytes, KnownTable, Note } from './known-bytes.ts'

const make = (copy: Uint8Array): KnownBytes => new KnownBytes(copy)

function table(more: Partial<ConstructorParameters<typeof KnownTable>[0]> = {}): KnownTable<KnownBytes> {
  return new KnownTable({ bytesMax: 64 * 1024, lengthMax: 1000, secondTime: false, ...more })
}

test('what is known has the very same bytes, however many fall on one place', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 3 }), { maxLength: 300 }),
      fc.boolean(),
      (all, secondTime) => {
        // A table of 64 places.
        const known = table({ secondTime })
        for (const bytes of all) {
          const found = known.of(bytes, make)
          if (found !== null) expect(Buffer.compare(found.bytes, bytes)).toBe(0)
          else expect(secondTime).toBe(true)
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('they are a copy, and the same object again', () => {
  const known = table()
  const bytes = Buffer.from('abc')
  const first = known.of(bytes, make)!
  bytes[0] = 120
  expect(Buffer.from(first.bytes).toString()).toBe('abc')
  expect(known.of(Buffer.from('abc'), make)).toBe(first)
  expect(known.of(bytes, make)).not.toBe(first)
})

test('where most come once, they are known from their second coming on', () => {
  const known = table({ secondTime: true })
  expect(known.of(Buffer.from('abc'), make)).toBeNull()
  const second = known.of(Buffer.from('abc'), make)
  expect(second).not.toBeNull()
  expect(known.of(Buffer.from('abc'), make)).toBe(second)
})

test('long ones are never known, and what cannot be made is not either', () => {
  const known = table()
  expect(known.of(Buffer.alloc(1001), make)).toBeNull()
  expect(known.of(Buffer.alloc(1000), make)).not.toBeNull()
  expect(known.of(Buffer.from('x'), () => null)).toBeNull()
  expect(known.of(Buffer.from('x'), make)).not.toBeNull()
})

test('however many come, the memory is bounded, and the last ones are known', () => {
  const known = table({ bytesMax: 1024 * 1024 })
  const body = (number: number): Buffer => Buffer.from(`${number}`.padEnd(900))
  for (let number = 0; number < 50_000; number++) known.of(body(number), make)
  const before = process.memoryUsage().rss
  for (let number = 50_000; number < 150_000; number++) known.of(body(number), make)
  Bun.gc(true)
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024)
  let made = 0
  const counted = (copy: Uint8Array): KnownBytes => (++made, new KnownBytes(copy))
  for (let number = 149_900; number < 150_000; number++) known.of(body(number), counted)
  // Places are given up in turn, whatever lies there.
  expect(made).toBeLessThan(20)
})

test('a finding is found out once for known bytes, and each time for others', () => {
  let count = 0
  const length = new Finding((bytes: Uint8Array) => {
    count += 1
    return bytes.length === 0 ? null : bytes.length
  })
  const other = new Note<string>()
  const [full, empty] = [new KnownBytes(Buffer.from('abc')), new KnownBytes(Buffer.alloc(0))]
  other.keep(full, 'else')
  for (let times = 0; times < 3; times++) {
    expect(length.of(full, full.bytes)).toBe(3)
    expect(length.of(empty, empty.bytes)).toBeNull()
  }
  expect(count).toBe(2)
  expect([other.kept(full), other.kept(empty)]).toEqual(['else', undefined])
  for (let times = 0; times < 3; times++) expect(length.of(null, Buffer.from('ab'))).toBe(2)
  expect(count).toBe(5)
})

test('what a finding throws is thrown each time', () => {
  const never = new Finding((): string => {
    throw new Error('no')
  })
  const known = new KnownBytes(Buffer.from('abc'))
  for (let times = 0; times < 2; times++) expect(() => never.of(known, undefined)).toThrow('no')
})

test('what is kept with them counts, and goes with them', () => {
  const known = table({ bytesMax: 64 * 1024 })
  const [one, two] = [known.of(Buffer.from('one'), make)!, known.of(Buffer.from('two'), make)!]
  one.grow(40_000)
  one.grow(-39_000)
  two.grow(50_000)
  expect(known.of(Buffer.from('one'), make)).toBe(one)
  expect(known.of(Buffer.from('two'), make)).toBe(two)
  one.grow(50_000)
  const left = ['one', 'two'].filter((text) => known.of(Buffer.from(text), () => null) !== null)
  expect(left.length).toBeLessThan(2)
  // Those that are gone count no more, whatever they grow by.
  for (const gone of [one, two]) if (gone.table === null) gone.grow(1e9)
  expect(known.of(Buffer.from('three'), make)).not.toBeNull()
  expect(known.of(Buffer.from('three'), () => null)).not.toBeNull()
})
