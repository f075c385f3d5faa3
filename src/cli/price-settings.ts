// Where the prices of a configuration come from.

import type { Config } from '../config/schema.ts'
import type { PriceSettings } from '../prices/keeper.ts'

/** The price file, and the upstreams as prices see them. */
export function priceSettings({ meter, upstreams }: Config): PriceSettings {
  return {
    file: meter.prices,
    upstreams: upstreams.map((upstream) => ({
      name: upstream.name,
      provider: upstream.provider,
      baseUrl: 'baseUrl' in upstream ? (upstream.baseUrl ?? null) : null,
    })),
  }
}
