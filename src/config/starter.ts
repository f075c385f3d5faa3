// The headgate.yaml that `headgate init` writes: short, every line explained, and valid as it stands, with a key of
// OpenAI's at hand or without.

/** What the file depends on. */
export interface Starter {
  /** Use OpenAI; otherwise the sandbox, with OpenAI as a comment. */
  readonly openai: boolean
  /** `sha256:…` of the first client key. */
  readonly keyHash: string
  /** Path of config.schema.json as seen from the file. */
  readonly schemaPath: string
  /** Value of `storage.path`; null = leave it to the default. */
  readonly dataPath: string | null
}

/** Where a gate with this file listens. */
export const starterUrl = 'http://127.0.0.1:8080'

/** The text of a first headgate.yaml. */
export function starterConfig({ openai, keyHash, schemaPath, dataPath }: Starter): string {
  return `# yaml-language-server: $schema=${schemaPath}
# Headgate's configuration. Every key is optional. \`headgate check\` tells what is wrong with it, docs/config.md what
# else there is. Text may hold \${env:NAME}, \${env:NAME:-default}, \${file:/run/secrets/x} and \${command:…}.

server:
  listen: 127.0.0.1:8080            # where applications connect; 0.0.0.0:8080 = every interface
  # publicHosts: [api.example.com]  # Host names accepted; without this line, any

admin:
  listen: 127.0.0.1:8081            # health, and the API for operators; this machine only
  # token: \${env:HEADGATE_ADMIN_TOKEN}  # without this line one is made at the first start and printed once

storage:
  ${dataPath === null ? dataComment : `path: ${JSON.stringify(dataPath)}`}

${openai ? openaiBlock : sandboxBlock}
access:
  anonymous: deny                   # a request needs a key
  keys:
    - name: dev                     # made by \`headgate init\`: the key itself was printed once, this is its hash
      hash: ${keyHash}
      env: dev
      # team: core                  # team, app and user appear in the log
      # models: [gpt-4o*]           # without this line, all
      # endpoints: [chat.completions, embeddings]

log:
  format: auto                      # human on a terminal, JSON elsewhere
  rotate: 100MB
  keep: 14
`
}

const dataComment = `# path: data                      # data directory, counted from this folder. Without this line: .headgate in the
                                    # directory the gate is started in. --data and $HEADGATE_DATA come first`

const openaiBlock = `upstreams:
  - name: openai
    provider: openai
    keys: ["\${env:OPENAI_API_KEY}"]
    # organization: org-…
    # project: proj_…
    # timeouts: { connect: 10s, firstByte: 60s, idle: 60s, total: 10m }
`

const sandboxBlock = `upstreams:
  - name: sandbox                   # a fake OpenAI inside this program: answers at once, costs nothing
    provider: sandbox
  # For OpenAI, put this in its place and set OPENAI_API_KEY:
  # - name: openai
  #   provider: openai
  #   keys: ["\${env:OPENAI_API_KEY}"]
`
