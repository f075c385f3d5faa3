// `headgate audit`: what an installation should be asked now and then, beyond whether its config is right. Each finding has a
// severity, a reason and how to mend it. So far: what the check of a config warns of, and whether the books agree with
// themselves.

import { journalsOf, sinkOf } from '../ledger/open-ledger.ts'
import { checkLedger, type Disagreement } from '../ledger/check.ts'
import { recoveredText, recoverRuns, type Recovered } from '../ledger/recovery.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { verifyConfig } from '../config/verify.ts'
import { storeHint } from './existing-store.ts'
import { withLedger, type Opened, type StoreOptions } from './usage-store.ts'

/** Something an operator should look at. `high`: something is wrong; `medium`: something could be safer. */
export interface Finding {
  readonly severity: 'high' | 'medium'
  readonly reason: string
  readonly mend: string
}

/** @returns exit code 0, or 1 where a finding is high */
export async function runAudit(options: StoreOptions & { readonly json?: boolean }): Promise<number> {
  const told = (findings: readonly Finding[], books: string): number => {
    if (options.json === true) console.log(JSON.stringify({ findings }, null, 2))
    else if (findings.length === 0) console.log(`nothing found: the config is in order, and ${books}`)
    else for (const { severity, reason, mend } of findings) console.log(`${severity}: ${reason} (${mend})`)
    return findings.some(({ severity }) => severity === 'high') ? 1 : 0
  }
  return withLedger(
    options,
    async (opened) =>
      told([...(await configFindings(options)), ...(await ledgerFindings(opened))], 'the books agree'),
    async ({ config, dataNamed }) => {
      const { path } = config.storage
      const findings = await configFindings(options)
      // Where nobody named a folder, nothing was served yet.
      if (dataNamed)
        findings.push({ severity: 'high', reason: `there is no store here: ${path}`, mend: storeHint })
      return told(findings, `there are no books yet: no store is in ${path}`)
    },
  )
}

async function configFindings(options: StoreOptions): Promise<Finding[]> {
  const loaded = await loadConfig({ file: options.config, data: options.data })
  return [...loaded.warnings, ...(await verifyConfig(loaded))].map((problem) => ({
    severity: problem.severity === 'error' ? 'high' : 'medium',
    reason: formatProblem({ ...problem, suggestion: null }),
    mend: problem.suggestion ?? 'see docs/config.md',
  }))
}

/** Rows that a crash left in a journal are brought in first, as a start would do. */
async function ledgerFindings({ storage, config }: Opened): Promise<Finding[]> {
  const sink = sinkOf(storage, config.storage.path)
  let recovered: Recovered
  try {
    recovered = await recoverRuns(journalsOf(config.storage.path), sink)
  } finally {
    sink.close()
  }
  return [...crashFindings(recovered), ...(await checkLedger(storage)).map(disagreement)]
}

function crashFindings(recovered: Recovered): Finding[] {
  const reason = recoveredText(recovered)
  if (reason === null) return []
  return recovered.damaged.length > 0
    ? [{ severity: 'high', reason, mend: 'compare with the provider: headgate usage reconcile' }]
    : [{ severity: 'medium', reason, mend: 'find out why it ended: its log, or the system\u2019s' }]
}

function disagreement({ table, atMs, sum, of, kept, real }: Disagreement): Finding {
  return {
    severity: 'high',
    reason: `${table} of ${new Date(atMs).toISOString()}: ${sum} is ${kept}, the rows' own sum is ${real} (${of})`,
    mend: 'somebody or something else has written into the database: restore it from a backup',
  }
}
