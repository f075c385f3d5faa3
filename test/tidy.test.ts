// The rules of the house, run over the project. A failure lists each place with what to do there; the rules themselves
// are tested in tidy/rules.test.ts.

import { resolve } from 'node:path'
import { expect, test } from 'bun:test'
import { layeringRules } from './tidy/layering.ts'
import { readProject } from './tidy/project.ts'
import { shapeRules } from './tidy/shape.ts'
import { wordingRules } from './tidy/wording.ts'

const project = readProject(resolve(import.meta.dir, '..'))

test('the whole project is looked at', () => {
  const paths = project.files.map((file) => file.path)
  expect(paths).toContain('src/main.ts')
  expect(paths).toContain('test/tidy.test.ts')
  expect(paths).toContain('package.json')
  expect(paths.some((path) => path.includes('node_modules'))).toBe(false)
})

for (const rule of [...layeringRules, ...shapeRules, ...wordingRules]) {
  test(rule.name, () => {
    expect(rule.find(project)).toEqual([])
  })
}
