// `headgate upstreams` against a gateway of its own.

import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

setDefaultTimeout(60_000)

const main = join(import.meta.dir, '..', 'main.ts')
const token = 'a-token-of-the-operators-00001'

async function run(folder: string, ...args: string[]) {
  const child = Bun.spawn([process.execPath, main, 'upstreams', ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', NO_COLOR: '1' },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { code, out, err }
}

describe('headgate upstreams', () => {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-upstreams-'))
  const tree = {
    server: { listen: '127.0.0.1:0' },
    admin: { listen: '127.0.0.1:0', token },
    storage: { path: join(folder, 'data') },
    upstreams: [{ name: 'toy', provider: 'sandbox' }],
  }
  writeFileSync(join(folder, 'headgate.yaml'), JSON.stringify(tree))

  test('shows them, drains one and resumes it', async () => {
    const gate = Bun.spawn([process.execPath, main, 'serve'], {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '', NO_COLOR: '1' },
      stdout: 'ignore',
      stderr: 'pipe',
    })
    try {
      let said = ''
      for await (const bytes of gate.stderr) {
        said += Buffer.from(bytes).toString()
        if (/admin {6}http:\S+/.test(said) && said.includes('Try it')) break
      }
      const admin = /admin {6}(http:\/\/[^\s,]+?)\/?(?=[\s,])/.exec(said)![1]!
      const shown = await run(folder, '--admin', admin)
      expect(shown).toMatchObject({ code: 0, err: '' })
      expect(shown.out).toMatch(/^NAME\s+PROVIDER\s+HEALTH/)
      expect(shown.out).toMatch(/^toy\s+sandbox\s+healthy\s+closed.*\$0\.00\s+\$0\.00/m)
      const drained = await run(folder, 'drain', 'toy', '--admin', admin)
      expect(drained.out).toBe('Draining  toy: no new requests, 0 under way\n')
      const json = await run(folder, '--admin', admin, '--format', 'json')
      expect(JSON.parse(json.out).rows[0]).toMatchObject({ name: 'toy', draining: true, health: 'draining' })
      expect((await run(folder, 'resume', 'toy', '--admin', admin)).out).toBe(
        'Resumed   toy: takes requests again\n',
      )
      const unknown = await run(folder, 'drain', 'nobody', '--admin', admin)
      expect(unknown.code).toBe(1)
      expect(unknown.err).toContain('There is no upstream of this name.')
    } finally {
      gate.kill('SIGKILL')
      await gate.exited
    }
  })

  test('says how where it cannot', async () => {
    expect(await run(folder)).toMatchObject({
      code: 1,
      err: 'headgate: the admin port is any free one: name it with --admin http://127.0.0.1:PORT\n',
    })
    const nobody = await run(folder, '--admin', 'http://127.0.0.1:9')
    expect(nobody.code).toBe(1)
    expect(nobody.err).toContain('no gateway answers at http://127.0.0.1:9')
    expect((await run(mkdtempSync(join(tmpdir(), 'headgate-none-')))).err).toContain(
      'set HEADGATE_ADMIN_TOKEN',
    )
  })
})
