// The prices in force, from one configuration to the next. At the start a bad price file ends it; later the old prices stay
// in force, and that is said until the file is mended: prices that silently fall back would make every bill wrong.

import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { ConfigProblems } from '../config/problem.ts'
import { readPriceFile, type PriceFile } from './price-file.ts'
import { Prices, type PricedUpstream } from './prices.ts'

/** Where prices come from. */
export interface PriceSettings {
  /** Absolute path of the price file; null = only the bundled list. */
  readonly file: string | null
  readonly upstreams: readonly PricedUpstream[]
}

/** Tells the operator. */
export type PriceEvent = (level: 'info' | 'warn' | 'error', message: string) => void

const fileBytesMax = 4 * 1024 * 1024

/** Reads the prices of a configuration. @throws ConfigProblems where the file is missing or wrong */
export function loadPrices({ file, upstreams }: PriceSettings): Prices {
  return new Prices(upstreams, file === null ? null : readFile(file))
}

function readFile(file: string): PriceFile {
  const name = basename(file)
  const fail = (message: string, suggestion: string) =>
    new ConfigProblems([
      { file: name, line: null, column: null, path: '', message, suggestion, severity: 'error' },
    ])
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (cause) {
    const { code } = cause as { code?: string }
    const why = code === 'ENOENT' ? 'is not there' : code === 'EACCES' ? 'may not be read' : 'cannot be read'
    throw fail(`the price file ${why}`, 'correct meter.prices, or leave it away')
  }
  if (bytes.length > fileBytesMax) throw fail('the price file is over 4 MB', 'use * in names of models')
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw fail('the price file is not UTF-8 text', 'save it as UTF-8')
  }
  return readPriceFile(text, name)
}

export class PriceKeeper {
  #prices: Prices
  #trouble: string | null = null

  /** @throws ConfigProblems where the file is missing or wrong: nothing may start without the prices it was told to use */
  constructor(
    settings: PriceSettings,
    private readonly event: PriceEvent,
  ) {
    this.#prices = loadPrices(settings)
    this.#tellUnfitting()
  }

  get current(): Prices {
    return this.#prices
  }

  /** What is wrong though requests are served, for the probes. */
  troubles(): string[] {
    return this.#trouble === null ? [] : [this.#trouble]
  }

  /** Reads prices that are not in force yet. @throws ConfigProblems where they are wrong; the probes say so from then on */
  read(settings: PriceSettings): Prices {
    try {
      return loadPrices(settings)
    } catch (cause) {
      this.#trouble = `the price file is wrong, ${this.#kept()}`
      throw cause
    }
  }

  /** Puts prices in force. */
  use(prices: Prices): void {
    const { version } = this.#prices
    this.#prices = prices
    this.#trouble = null
    if (prices.version === version) return
    this.event('info', `prices are now ${prices.version}`)
    this.#tellUnfitting()
  }

  /** Reads the prices anew. Where they are wrong the old ones stay in force, loudly. @returns whether the new are in force */
  reload(settings: PriceSettings): boolean {
    try {
      this.use(this.read(settings))
      return true
    } catch (cause) {
      if (!(cause instanceof ConfigProblems)) throw cause
      this.event('error', `prices not reloaded, ${this.#kept()}: ${cause.format()}`)
      return false
    }
  }

  #tellUnfitting(): void {
    const paths = this.#prices.fittingNobody.map(({ path, name }) => `${path} (${name})`)
    if (paths.length > 0)
      this.event(
        'warn',
        `the price file names upstreams that are not there: ${paths.slice(0, 10).join(', ')}`,
      )
  }

  #kept(): string {
    return `the prices ${this.#prices.version} stay in force`
  }
}
