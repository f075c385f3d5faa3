// Writes the documents that are made from the configuration schema. Run with `npm run docs` after changing an option.

import { join } from 'node:path'
import { configJsonSchema, configReference } from '../src/config/reference.ts'

const root = join(import.meta.dir, '..')
await Bun.write(join(root, 'config.schema.json'), configJsonSchema())
await Bun.write(join(root, 'docs', 'config.md'), configReference())
console.log('wrote config.schema.json and docs/config.md')
