// `headgate keys …` on the command line: names and options of its commands. What they do is loaded when one is called.

import type { Command } from 'commander'
import { located, shown } from './common-options.ts'
import type { CreateOptions, ShownOptions, StoreOptions } from './keys.ts'

type Finish = (code: number) => void

/** Adds `keys` and its commands. `finish` gets the exit code of the one that runs. */
export function addKeysCommands(program: Command, finish: Finish): void {
  const keys = program
    .command('keys')
    .description('client keys in the store: create, list, show, rotate, revoke, scan')
  // Copied from the program: wrong usage of a command below it is told in the same words.
  keys.helpCommand(false)
  addCreate(keys, finish)
  shown(keys.command('list').description('all keys, newest first')).action(async (options: ShownOptions) =>
    finish(await (await import('./keys.ts')).runKeysList(options)),
  )
  shown(
    keys.command('show').description('all about one key but its secret').argument('<id>', 'key_…'),
  ).action(async (id: string, options: ShownOptions) =>
    finish(await (await import('./keys.ts')).runKeysShow(id, options)),
  )
  shown(
    keys.command('rotate').description('a new secret for a key, shown this once').argument('<id>', 'key_…'),
  )
    .option('-g, --grace <duration>', 'how long the old secret works on; 0s ends it now', '24h')
    .option('-q, --quiet', 'print the secret alone')
    .action(async (id: string, options: ShownOptions & { grace: string }) =>
      finish(await (await import('./keys.ts')).runKeysRotate(id, options)),
    )
  shown(keys.command('revoke').description('end a key for good').argument('<id>', 'key_…')).action(
    async (id: string, options: ShownOptions) =>
      finish(await (await import('./keys.ts')).runKeysRevoke(id, options)),
  )
  located(
    keys
      .command('scan')
      .description('find client keys in files; exit code 1 if there are any')
      .argument('<path>', 'file or folder'),
  ).action(async (path: string, options: StoreOptions) =>
    finish(await (await import('./keys-scan.ts')).runKeysScan(path, options)),
  )
}

function addCreate(keys: Command, finish: Finish): void {
  shown(keys.command('create').description('a new key, its secret shown this once'))
    .requiredOption('-n, --name <name>', 'name in logs and reports; no two active keys share one')
    .option('--team <team>', 'team it belongs to')
    .option('--app <app>', 'application that uses it')
    .option('--user <user>', 'person it belongs to')
    .option('--env <env>', 'environment, part of the key (default: dev)')
    .option('--models <list>', 'models it may ask for, with commas; * stands for any characters')
    .option('--endpoints <list>', 'operations it may use, with commas, such as chat.completions')
    .option('--addresses <list>', 'addresses and CIDR blocks it may be used from, with commas')
    .option('--user-agents <list>', 'user agents it may be used by, with commas; * stands for any characters')
    .option('--expires <when>', 'how long it works, such as 90d, or a date')
    .option('--budget <amount>', "money it may spend, such as '$50/month' (hour, day, week, month, year)")
    .option('--metadata <name=value>', 'a fact to keep with it; may be given 16 times', collect)
    .option('--may-name', 'believe the header fields that name user and app (access.identity)')
    .option('-q, --quiet', 'print the secret alone')
    .action(async (options: CreateOptions) =>
      finish(await (await import('./keys.ts')).runKeysCreate(options)),
    )
}

function collect(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text]
}
