// What users are told about text that is not the YAML we take, word for word.

import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from './load.ts'
import { ConfigProblems } from './problem.ts'

const folder = mkdtempSync(join(tmpdir(), 'headgate-yaml-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function said(text: string): Promise<string[]> {
  writeFileSync(join(folder, 'headgate.yaml'), text)
  const outcome = await loadConfig({ cwd: folder, env: {} }).catch((cause: unknown) => cause)
  if (outcome instanceof ConfigProblems) return outcome.format().split('\n')
  throw new Error('the text was accepted', { cause: outcome })
}

const indentation =
  'the indentation does not fit the lines around it (begin all keys of one mapping, and all items of one list, in the same column)'
const neverClosed =
  'is opened here and never closed (close it; all of it needs more indentation than its key)'

const table: Record<string, [text: string, ...messages: string[]]> = {
  'a tab': [
    'server:\n\tlisten: 127.0.0.1:1\n',
    'headgate.yaml:2: a tab is used for indentation (indent with spaces)',
  ],
  'a key twice': [
    'log:\n  keep: 1\n  keep: 2\n',
    'headgate.yaml:3: this key stands here twice (keep one of them)',
  ],
  'two documents': [
    'log: {}\n---\nlog: {}\n',
    'headgate.yaml:2: a second YAML document begins here (remove the line with ---)',
  ],
  'an open bracket': ['server:\n  listen: [127.0.0.1:1\nlog: {}\n', `headgate.yaml:2: [ ${neverClosed}`],
  'an open quote': ['log:\n  format: "json\n', 'headgate.yaml:2: " is opened here and never closed'],
  'an open quote with more below it': [
    "log:\n  format: 'json\n  keep: 3\nserver: {}\n",
    "headgate.yaml:2: ' is opened here and never closed",
  ],
  'an open brace before other sections': [
    'server: { listen: 127.0.0.1:1\nlog:\n  keep: 3\n',
    `headgate.yaml:1: { ${neverClosed}`,
  ],
  'a brace that closes a bracket': [
    'server:\n  listen: [127.0.0.1:1}\nlog: { keep: 3 }\n',
    `headgate.yaml:2: [ ${neverClosed}`,
  ],
  'a brace whose lines are indented too little': [
    'server:\n  limits: {\n    headers: 3\n}\n',
    `headgate.yaml:2: { ${neverClosed}`,
  ],
  'one space too few': [
    'server:\n  listen: 127.0.0.1:1\n limits:\n    headers: 3\n',
    `headgate.yaml:3: ${indentation}`,
  ],
  'one space too many': [
    'server:\n  listen: 127.0.0.1:1\n   limits:\n    headers: 3\n',
    `headgate.yaml:3: ${indentation}`,
  ],
  'one space too few in an item of a list': [
    'upstreams:\n  - name: a\n   provider: sandbox\n',
    `headgate.yaml:3: ${indentation}`,
  ],
  'no space after a colon': [
    'server:\n  listen:127.0.0.1:1\n',
    'headgate.yaml:2: server: expected a mapping of settings (write `listen: …` with a space after the colon)',
  ],
  'no colon, where that makes it text': [
    'server:\n  listen 127.0.0.1:1\n',
    'headgate.yaml:2: server: expected a mapping of settings (write `listen: …` with a space after the colon)',
  ],
  'no space after a colon, at the top': [
    'log:{}\n',
    'headgate.yaml:1: expected a mapping of settings (write `log: …` with a space after the colon)',
  ],
  'no space after a colon, in braces': [
    'server: {listen:127.0.0.1:1}\n',
    'headgate.yaml:1: server: unknown key (write `listen: …` with a space after the colon)',
  ],
  'no space after a colon, with more below it': [
    'server:\n  listen:127.0.0.1:1\n  limits: {}\n',
    'headgate.yaml:2: a colon is missing after a key (write `key: value`, with a space after the colon)',
  ],
  'two colons': [
    'log: format: json\n',
    'headgate.yaml:1: a second colon on one line (put the text in quotes if it is one value)',
  ],
  'no colon': [
    'log:\n  format\n  keep: 1\n',
    'headgate.yaml:2: a colon is missing after a key (write `key: value`, with a space after the colon)',
  ],
  'an @': [
    'log:\n  file: @x\n',
    'headgate.yaml:2: text cannot begin with this character (put the text in quotes)',
  ],
  'an alias to nothing': [
    'upstreams: *all\n',
    'headgate.yaml:1: no anchor has this name (put the text in quotes if it begins with *)',
  ],
  'a tag': [
    'log: !x {}\n',
    'headgate.yaml:1: YAML tags are not supported (put the text in quotes if it begins with !)',
  ],
  'aliases that multiply': [
    `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`,
    'headgate.yaml:1: the file nests too deeply or repeats its anchors too often',
  ],
  'an alias to itself': ['server: &a { limits: *a }\n', 'headgate.yaml:1: server.limits: holds itself'],
}

for (const [name, [text, ...messages]] of Object.entries(table)) {
  test(name, async () => {
    expect(await said(text)).toEqual(messages)
  })
}
