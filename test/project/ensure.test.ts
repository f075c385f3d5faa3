// What counts as missing before `npm start` and `npm test`: npm's record against the lock file.

import { describe, expect, test } from 'bun:test'
import { missingPackages } from '../../scripts/ensure.mjs'

const locked = {
  '': { version: '0.1.0' },
  'node_modules/zod': { version: '4.0.0' },
  'node_modules/oxlint': { version: '1.0.0', dev: true },
  'node_modules/@oven/bun-linux-x64': { version: '1.4.5', optional: true },
}
const all = { 'node_modules/zod': { version: '4.0.0' }, 'node_modules/oxlint': { version: '1.0.0' } }

describe('missing packages', () => {
  test('none, where all are there; executables of other platforms do not count', () => {
    expect(missingPackages({ locked, installed: all, dev: true })).toEqual([])
  })

  test('all of them on a fresh clone', () => {
    expect(missingPackages({ locked, installed: {}, dev: true })).toEqual([
      'node_modules/zod',
      'node_modules/oxlint',
    ])
  })

  test('to serve, those for development may be absent', () => {
    expect(missingPackages({ locked, installed: {}, dev: false })).toEqual(['node_modules/zod'])
    const served = { 'node_modules/zod': { version: '4.0.0' } }
    expect(missingPackages({ locked, installed: served, dev: false })).toEqual([])
    expect(missingPackages({ locked, installed: served, dev: true })).toEqual(['node_modules/oxlint'])
  })

  test('one in another version', () => {
    const installed = { ...all, 'node_modules/zod': { version: '3.0.0' } }
    expect(missingPackages({ locked, installed, dev: false })).toEqual(['node_modules/zod'])
  })
})
