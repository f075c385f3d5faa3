import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { ListPage } from './list-page.ts'

test('whatever is cut, the rest is the same JSON, and nothing cut is the same bytes', () => {
  const item = fc.oneof(
    fc.json({ maxDepth: 2 }),
    fc.constantFrom('{"id":"a"}', '{"id":"b","x":[",]}"]}', '1', 'null', '"],"'),
  )
  const space = fc.constantFrom('', ' ', '\n\t')
  fc.assert(
    fc.property(
      fc.array(item, { maxLength: 6 }),
      space,
      fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
      (items, gap, keep) => {
        const text = `${gap}{"a":${gap}[1,"data"],"data"${gap}:${gap}[${gap}${items.join(`${gap},${gap}`)}${gap}]${gap},"has_more":true,"last_id":"z"}${gap}`
        const page = ListPage.read(Buffer.from(text))!
        const places = items.flatMap((_, index) => (keep[index] === true ? [index] : []))
        const cut = page.withOnly(places).toString()
        const wanted = places.map((place) => JSON.parse(items[place]!) as { id?: unknown } | null)
        const last = places.length === items.length ? 'z' : (wanted.at(-1)?.id ?? null)
        expect(JSON.parse(cut)).toEqual({ a: [1, 'data'], data: wanted, has_more: true, last_id: last })
        if (places.length === items.length) expect(cut).toBe(text)
      },
    ),
  )
})

test.each([
  ['', 'nothing'],
  ['[]', 'a list'],
  ['null', 'null'],
  ['{"data":{}}', 'data that is no list'],
  ['{"data":[],"d\\u0061ta":[1]}', 'data twice'],
  ['{"data":[}', 'broken'],
  ['\ufeff{"data":[]}', 'behind a mark'],
])('%s is no page: %s', (text) => {
  expect(ListPage.read(Buffer.from(text))).toBeNull()
})

test('has_more is said anew where fewer are shown', () => {
  const page = ListPage.read(Buffer.from('{"data":[{"id":"a"},{"id":"b"}],"has_more": false}'))!
  expect(page.withOnly([0], true).toString()).toBe('{"data":[{"id":"a"}],"has_more": true}')
})
