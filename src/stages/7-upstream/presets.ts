// Providers that speak like OpenAI, as data: where their API begins, and what they do not take. A line a provider, from its
// own documentation on the date given; where that says nothing, nothing is claimed here. `refuses` names members that are
// answered with an error (400 or 422), not those that are ignored.

/** One provider that speaks like OpenAI. */
export interface Preset {
  readonly baseUrl: string
  /** Its name in prose. */
  readonly title: string
  /** Members of a chat request that it refuses. */
  readonly refuses?: readonly string[]
  /** Members it knows by another name only. */
  readonly renames?: Readonly<Record<string, string>>
  /** It runs on the operator's machine, without a key by default. */
  readonly local?: true
  /** Where this was read, and when. */
  readonly source: string
}

/** By the value of `provider`. */
export const presets = {
  alibaba: {
    // Its pages of October 2026 name a host for each workspace, {WorkspaceId}.ap-southeast-1.maas.aliyuncs.com; this one, of
    // its pages of March 2026, needs no name. Keys belong to a region.
    baseUrl: 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
    title: 'Alibaba Cloud Model Studio (Qwen)',
    source: 'alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope, 2026-11',
  },
  cerebras: {
    baseUrl: 'https://api.cerebras.ai/v1',
    title: 'Cerebras',
    refuses: ['frequency_penalty', 'logit_bias', 'presence_penalty'],
    source: 'inference-docs.cerebras.ai/resources/openai, 2026-11',
  },
  deepseek: {
    baseUrl: 'https://api.deepseek.com/v1',
    title: 'DeepSeek',
    // Its thinking models refuse `logprobs` and `top_logprobs`, the others take them: nothing is left out.
    source: 'api-docs.deepseek.com and its guide to the reasoning model, 2026-11',
  },
  fireworks: {
    baseUrl: 'https://api.fireworks.ai/inference/v1',
    title: 'Fireworks',
    source: 'docs.fireworks.ai/tools-sdks/openai-compatibility, 2026-11',
  },
  groq: {
    baseUrl: 'https://api.groq.com/openai/v1',
    title: 'Groq',
    // Also `messages[].name`, and `n` other than 1: those are in the words of whoever asks, and its error says so.
    refuses: ['logprobs', 'logit_bias', 'top_logprobs'],
    source: 'console.groq.com/docs/openai, 2026-11',
  },
  lmstudio: {
    baseUrl: 'http://127.0.0.1:1234/v1',
    title: 'LM Studio',
    local: true,
    source: 'lmstudio.ai/docs/developer/openai-compat, 2026-11',
  },
  mistral: {
    baseUrl: 'https://api.mistral.ai/v1',
    title: 'Mistral',
    // It refuses members it does not know (422), and sends usage with the last chunk unasked.
    refuses: ['logit_bias', 'logprobs', 'store', 'stream_options', 'top_logprobs', 'user'],
    renames: { max_completion_tokens: 'max_tokens', seed: 'random_seed' },
    source: 'docs.mistral.ai/api/endpoint/chat, 2026-11',
  },
  nvidia: {
    baseUrl: 'https://integrate.api.nvidia.com/v1',
    title: 'NVIDIA NIM',
    source: 'docs.api.nvidia.com/nim/reference, 2026-11',
  },
  ollama: {
    baseUrl: 'http://127.0.0.1:11434/v1',
    title: 'Ollama',
    local: true,
    source: 'docs.ollama.com/api/openai-compatibility, 2026-11',
  },
  openrouter: {
    baseUrl: 'https://openrouter.ai/api/v1',
    title: 'OpenRouter',
    source: 'openrouter.ai/docs/api-reference/overview, 2026-11',
  },
  perplexity: {
    baseUrl: 'https://api.perplexity.ai',
    title: 'Perplexity',
    // Without a version. Its Agent API (responses) is another one, at https://api.perplexity.ai/v1.
    source: 'docs.perplexity.ai/guides/chat-completions-guide, 2026-11',
  },
  sambanova: {
    baseUrl: 'https://api.sambanova.ai/v1',
    title: 'SambaNova',
    source: 'docs.sambanova.ai/docs/en/features/openai-compatibility, 2026-11',
  },
  together: {
    baseUrl: 'https://api.together.ai/v1',
    title: 'Together',
    source: 'docs.together.ai/docs/inference/openai-compatibility, 2026-11',
  },
  vllm: {
    baseUrl: 'http://127.0.0.1:8000/v1',
    title: 'vLLM',
    local: true,
    source: 'docs.vllm.ai/en/latest/serving/openai_compatible_server.html, 2026-11',
  },
  xai: {
    baseUrl: 'https://api.x.ai/v1',
    title: 'xAI',
    // Its reasoning models refuse `presence_penalty`, `frequency_penalty` and `stop`, most of them `reasoning_effort`; others
    // take them: nothing is left out.
    source: 'docs.x.ai/docs/guides/reasoning, 2026-11',
  },
} as const satisfies Record<string, Preset>

/** The name of a preset, as `provider` has it. */
export type PresetName = keyof typeof presets

/** The names, sorted. */
export const presetNames = Object.keys(presets) as [PresetName, ...PresetName[]]
