// `headgate usage …` on the command line: names and options. What they do is loaded when one is called.

import type { Command } from 'commander'
import { formats, located } from './common-options.ts'
import type { InvoiceOptions } from './usage-invoice.ts'
import type { ReconcileOptions } from './usage-reconcile.ts'
import type { RepriceOptions } from './usage-reprice.ts'
import type { UsageOptions } from './usage.ts'

type Finish = (code: number) => void

const zone = 'time zone of days and months, such as Europe/Berlin (default: UTC)'

/** Adds `usage` and its commands. `finish` gets the exit code of the one that runs. */
export function addUsageCommands(program: Command, finish: Finish): void {
  const usage = program
    // What stands behind `invoice` is its own, though `usage` has an option of the same name.
    .enablePositionalOptions()
    .command('usage')
    .description('who used what, and what it cost; invoice, reprice, reconcile')
  usage.helpCommand(false)
  located(period(usage))
    .option(
      '-b, --by <groups>',
      'groups, with commas: key, user, team, app, model, upstreamModel, endpoint, upstream, env, priceVersion, hour, day, month (default: key,model)',
    )
    .addOption(formats(['table', 'csv', 'json']))
    .option('-p, --plot', 'draw what it cost in the terminal')
    .option('--key <key>', 'only this key, by name or id')
    .option('--team <team>', 'only this team')
    .option('--app <app>', 'only this application')
    .option('--user <user>', 'only this user')
    .option('--model <model>', 'only this model, as asked for')
    .option('--endpoint <endpoint>', 'only this operation, such as chat.completions')
    .option('--upstream <upstream>', 'only this upstream')
    .action(async (options: UsageOptions) => finish(await (await import('./usage.ts')).runUsage(options)))
  addInvoice(usage, finish)
  addReprice(usage, finish)
  addReconcile(usage, finish)
}

function addInvoice(usage: Command, finish: Finish): void {
  located(usage.command('invoice').description("a team's month, line by line"))
    .requiredOption('--team <team>', 'whose')
    .requiredOption('--month <month>', 'which, such as 2026-11')
    .option('--tz <zone>', zone)
    .addOption(formats(['md', 'csv', 'json']))
    .action(async (options: InvoiceOptions) =>
      finish(await (await import('./usage-invoice.ts')).runUsageInvoice(options)),
    )
}

function addReprice(usage: Command, finish: Finish): void {
  located(period(usage.command('reprice').description('what other prices would have made of it')))
    .requiredOption('--prices <file>', 'a price file, see docs/prices.md')
    .option('--dry-run', 'needed: rows are never rewritten')
    .addOption(formats(['table', 'csv', 'json']))
    .action(async (options: RepriceOptions) =>
      finish(await (await import('./usage-reprice.ts')).runUsageReprice(options)),
    )
}

function addReconcile(usage: Command, finish: Finish): void {
  located(usage.command('reconcile').description("compare with the provider's own books, by day and model"))
    .requiredOption('--upstream <name>', 'an upstream of provider openai with an adminKey')
    .option('--from <when>', 'first day (UTC), such as 2026-11-01 or 7d (default: 7d)')
    .option('--to <when>', 'last day (default: yesterday)')
    .option('--tolerance <percent>', 'drift that is not worth a mark (default: 1%)')
    .option('--book', 'add a correction row for each difference in cost; twice books nothing twice')
    .addOption(formats(['table', 'csv', 'json']))
    .action(async (options: ReconcileOptions) =>
      finish(await (await import('./usage-reconcile.ts')).runUsageReconcile(options)),
    )
}

function period(command: Command): Command {
  return command
    .option(
      '--from <when>',
      'since when: a date, a month, a moment, 7d, today, this-month, last-month (default: 30d)',
    )
    .option('--to <when>', 'until when; a day or month is included (default: now)')
    .option('--tz <zone>', zone)
}
