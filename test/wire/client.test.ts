// One contract, both kinds of wire: see src/net/wire/message.ts.

import { describe, setDefaultTimeout } from 'bun:test'
import { answerTests } from './contract/answers.ts'
import { cuttingTests } from './contract/cutting.ts'
import { hostileTests } from './contract/hostile.ts'
import { poolTests, repeatTests } from './contract/pooling.ts'
import { streamTests } from './contract/streams.ts'
import { uploadTests } from './contract/uploads.ts'
import { abortTests, pressureTests, timeoutTests } from './contract/waiting.ts'
import { kinds } from './kinds.ts'

// Generous: these tests wait for conditions, never for the clock of a busy machine.
setDefaultTimeout(60_000)

for (const kind of kinds) {
  describe(`well-formed answers, ${kind.name}`, () => answerTests(kind))
  describe(`hostile answers, ${kind.name}`, () => hostileTests(kind))
  describe(`cut answers, ${kind.name}`, () => cuttingTests(kind))
  describe(`recorded streams, ${kind.name}`, () => streamTests(kind))
  describe(`time-outs, ${kind.name}`, () => timeoutTests(kind))
  describe(`back-pressure, ${kind.name}`, () => pressureTests(kind))
  describe(`giving up, ${kind.name}`, () => abortTests(kind))
  describe(`streamed requests, ${kind.name}`, () => uploadTests(kind))
  describe(`sending anew, ${kind.name}`, () => repeatTests(kind))
  if (kind.strict) describe(`the pool, ${kind.name}`, () => poolTests(kind))
}
