// OpenAI itself: a bearer key, and headers that choose organisation and project
// (platform.openai.com/docs/api-reference/authentication, read November 2026).

import type { Provider } from '../provider.ts'

export const openai: Provider = {
  credentialLine: (key) => (key === null ? '' : `Authorization: Bearer ${key.reveal()}\r\n`),
  accountLines: ({ organization, project }) =>
    (organization === null ? '' : `OpenAI-Organization: ${organization}\r\n`) +
    (project === null ? '' : `OpenAI-Project: ${project}\r\n`),
}
