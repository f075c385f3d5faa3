import { expect, test } from 'bun:test'
import { z } from 'zod'
import type { JsonObject } from './json.ts'
import { patternInstance } from './pattern-instance.ts'
import { schemaInstance, wordsIn } from './schema-instance.ts'

interface Tree {
  readonly name: string
  readonly children: readonly Tree[]
  readonly next: Tree | null
}
const Tree: z.ZodType<Tree> = z.lazy(() =>
  z.object({ name: z.string(), children: z.array(Tree), next: Tree.nullable() }),
)

const shapes: Record<string, z.ZodType> = {
  numbers: z.object({
    a: z.int().min(3).max(4),
    b: z.number().gt(0).lt(1),
    c: z.number().multipleOf(5).min(7),
    d: z.number().max(-3),
    e: z.int().max(10),
  }),
  texts: z.object({
    a: z.string().min(30),
    b: z.string().max(2),
    c: z.email(),
    d: z.uuid(),
    e: z.iso.datetime(),
    f: z.string().regex(/^[A-Z]{3}-\d{2,4}$/),
  }),
  choices: z.object({
    a: z.enum(['x', 'y']),
    b: z.literal(7),
    c: z.union([z.string(), z.number()]),
    d: z.boolean(),
    e: z.null(),
  }),
  lists: z.object({
    a: z.array(z.string()).min(3),
    b: z.array(z.int()).max(1),
    c: z.tuple([z.string(), z.number()]),
  }),
  optional: z.object({
    a: z.string().optional(),
    b: z.string().nullable(),
    c: z.record(z.string(), z.number()),
  }),
  unions: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('a'), n: z.number() }),
    z.object({ kind: z.literal('b'), s: z.string() }),
  ]),
  both: z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() })),
  recursive: Tree,
}
test.each(Object.entries(shapes))('an instance of %s is valid', (_name, shape) => {
  const schema = z.toJSONSchema(shape) as JsonObject
  const made = schemaInstance(schema, ['Paris'])
  expect(() => shape.parse(made)).not.toThrow()
  expect(schemaInstance(schema, ['Paris'])).toEqual(made)
})

test('texts are taken from the prompt in turn', () => {
  const schema: JsonObject = {
    type: 'object',
    properties: { from: { type: 'string' }, to: { type: 'string' } },
  }
  const words = wordsIn('Book me a flight from New York to Oslo, “window seat”')
  expect(words).toEqual(['window seat', 'New York', 'Oslo'])
  expect(schemaInstance(schema, words.slice(1))).toEqual({ from: 'New York', to: 'Oslo' })
})

test.each([
  '^\\d{3}-\\d{4}$',
  '^(?:a|b)+c?$',
  '^[^0-9]x\\.y$',
  '^(?<year>[12]\\d{3})$',
  '[a-f]{2,}',
  '^\\w+@\\w+\\.com$',
])('a text for the pattern %s', (pattern) => {
  expect(patternInstance(pattern)).toMatch(new RegExp(pattern))
})

test('a pattern that cannot be met gives null', () => {
  expect(patternInstance('^(?=x)y$')).toBeNull()
  expect(patternInstance('(')).toBeNull()
})
