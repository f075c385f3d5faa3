// The lock file holds the executables of every platform, also when it was written where they could not be fetched.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'bun:test'
import { missingPlatforms } from '../../scripts/lock.mjs'

test('the lock file is complete', () => {
  const lock = JSON.parse(readFileSync(resolve(import.meta.dir, '../../package-lock.json'), 'utf8')) as {
    packages: Parameters<typeof missingPlatforms>[0]
  }
  // If not: npm run lock
  expect(Object.keys(missingPlatforms(lock.packages))).toEqual([])
})

test('a missing platform gets the version its parent asks for, and says where it runs', () => {
  const packages = {
    'node_modules/lint': {
      version: '2.0.0',
      dev: true,
      license: 'MIT',
      optionalDependencies: {
        '@lint/linux-arm64-musl': '2.0.0',
        '@lint/win32-x64': '2.0.0',
        extra: '^1.0.0',
      },
    },
    'node_modules/@lint/win32-x64': { version: '2.0.0' },
  }
  expect(missingPlatforms(packages)).toEqual({
    'node_modules/@lint/linux-arm64-musl': {
      version: '2.0.0',
      cpu: ['arm64'],
      libc: ['musl'],
      os: ['linux'],
      dev: true,
      license: 'MIT',
      optional: true,
      engines: undefined,
    },
  })
})
