// Servers that speak like OpenAI: a bearer key where they want one, organisation and project where they are configured.

import type { Provider } from '../provider.ts'

export const openaiCompatible: Provider = {
  credentialLine: (key) => (key === null ? '' : `Authorization: Bearer ${key.reveal()}\r\n`),
  accountLines: ({ organization, project }) =>
    (organization === null ? '' : `OpenAI-Organization: ${organization}\r\n`) +
    (project === null ? '' : `OpenAI-Project: ${project}\r\n`),
}
