// A process that books calls as fast as it can until it is killed: `child.ts <data> <durability>`. A call counts as answered
// when its line is on standard output, which happens only after its row was settled.

import { writeSync } from 'node:fs'
import { systemClock } from '../../src/base/clock.ts'
import { randomText } from '../../src/base/id.ts'
import { openLedger } from '../../src/ledger/open-ledger.ts'
import { openStorage } from '../../src/storage/open.ts'
import { ledgerRow, reservation } from './rows.ts'

const [path = '', durability = 'process'] = process.argv.slice(2)
const storage = await openStorage({ path, postgres: null }, systemClock)
const ledger = await openLedger(storage, {
  path,
  durability: () => durability as 'process' | 'power',
  retentionMs: () => 400 * 86_400_000,
  clock: systemClock,
  event: (level, text) => process.stderr.write(`${level} ${text}\n`),
  // Small, so that a run of a few hundred ms turns over many of them.
  segmentBytes: 128 * 1024,
})
const run = randomText(6)

async function call(lane: number): Promise<never> {
  for (let number = 0; ; number++) {
    const id = `op_${run}_${lane}_${number}-1`
    ledger.reserve(reservation(id))
    writeSync(1, `began ${id}\n`)
    await Bun.sleep(lane % 3)
    await ledger.settle(ledgerRow(id))
    writeSync(1, `done ${id}\n`)
  }
}

writeSync(1, 'ready\n')
await Promise.all(Array.from({ length: 50 }, (_, lane) => call(lane)))
