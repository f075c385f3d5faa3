// The only file that reads the environment. Everything else takes what it needs from here, so that one look shows
// which variables matter, and so that a test can hand in its own.

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The process's own environment: for `${env:…}` and for the commands of `${command:…}`. */
export function processEnvironment(): Environment {
  return process.env
}

/** `HEADGATE_DATA`: where data lives, over `storage.path`; null where unset or empty. */
export function dataDirectory(env: Environment = process.env): string | null {
  return filled(env['HEADGATE_DATA'])
}

/** Whether `OPENAI_API_KEY` holds anything: decides between OpenAI and the sandbox where no upstream is configured. */
export function hasOpenAiKey(env: Environment = process.env): boolean {
  return filled(env['OPENAI_API_KEY']) !== null
}

/** Whether `HEADGATE_ADMIN_TOKEN` holds anything: the admin token where the configuration names none. */
export function hasAdminToken(env: Environment = process.env): boolean {
  return filled(env['HEADGATE_ADMIN_TOKEN']) !== null
}

/** Whether colour is unwanted: NO_COLOR set to anything (no-color.org), or a terminal that cannot show it. */
export function colourUnwanted(env: Environment = process.env): boolean {
  return filled(env['NO_COLOR']) !== null || env['TERM'] === 'dumb'
}

function filled(value: string | undefined): string | null {
  return value === undefined || value.trim() === '' ? null : value
}
