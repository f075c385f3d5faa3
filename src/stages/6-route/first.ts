// The simplest choice: the first upstream of the configuration.

import type { Picker, Target } from './router.ts'

export const first: Picker = {
  pick: <T extends Target>(targets: readonly T[]): T => targets[0]!,
}
