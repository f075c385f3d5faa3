// What the schema knows at a place: needed for "did you mean" and for the test that guards not-yet.ts.

import type { z } from 'zod'

/** A schema's own definition, as far as we look into it. */
interface Definition {
  readonly type: string
  readonly innerType?: z.core.$ZodType
  readonly in?: z.core.$ZodType
  readonly out?: z.core.$ZodType
  readonly element?: z.core.$ZodType
  readonly options?: readonly z.core.$ZodType[]
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>
  readonly values?: readonly unknown[]
  readonly entries?: Readonly<Record<string, string>>
}

/** A schema and a tree written for it: of the alternatives of a union, only those count that the tree can mean. */
export interface Written {
  readonly schema: z.core.$ZodType
  readonly tree?: unknown
}

/** The keys a mapping may have at `path`; empty where there is no mapping. */
export function knownKeys(written: Written, path: readonly (string | number)[]): string[] {
  const keys = new Set<string>()
  for (const found of schemasAt(written, path)) {
    for (const key of Object.keys(definition(found).shape ?? {})) keys.add(key)
  }
  return [...keys]
}

/** The fixed values that `path` may have, such as the words of an enumeration; empty where it is free. */
export function knownValues(written: Written, path: readonly (string | number)[]): string[] {
  return schemasAt(written, path).flatMap((found) => {
    const { type, values, entries } = definition(found)
    if (type === 'literal') return (values ?? []).map(String)
    return type === 'enum' ? Object.values(entries ?? {}) : []
  })
}

function schemasAt({ schema, tree }: Written, path: readonly (string | number)[]): z.core.$ZodType[] {
  const def = definition(schema)
  if (def.type === 'union') {
    const options = def.options!
    const possible = options.filter((option) => canMean(option, tree))
    return (possible.length > 0 ? possible : options).flatMap((option) =>
      schemasAt({ schema: option, tree }, path),
    )
  }
  if (def.innerType !== undefined) return schemasAt({ schema: def.innerType, tree }, path)
  if (def.type === 'pipe') return schemasAt({ schema: def.in!, tree }, path)
  const [step, ...rest] = path
  if (step === undefined) return [schema]
  const below = (tree as Record<string | number, unknown> | null | undefined)?.[step]
  if (def.type === 'array')
    return typeof step === 'number' ? schemasAt({ schema: def.element!, tree: below }, rest) : []
  const child = Object.hasOwn(def.shape ?? {}, step) ? def.shape![step] : undefined
  return child === undefined ? [] : schemasAt({ schema: child, tree: below }, rest)
}

/** False where a fixed value of the mapping, such as `provider`, differs from what is written. */
function canMean(schema: z.core.$ZodType, tree: unknown): boolean {
  return Object.entries(definition(schema).shape ?? {}).every(([key, field]) => {
    const { type, values } = definition(field)
    return type !== 'literal' || values!.includes((tree as Record<string, unknown> | null | undefined)?.[key])
  })
}

function definition(schema: z.core.$ZodType): Definition {
  return schema._zod.def
}
