// The messages of a prompt, as both wires gather them. System and developer messages go to the front: several providers
// refuse them anywhere else. Results of one turn's tools stand in one message: Gemini wants as many results as there were
// calls, and each with the name that only the call had.

import type {
  LanguageModelV4FunctionTool,
  LanguageModelV4Message,
  LanguageModelV4ToolResultPart,
} from '@ai-sdk/provider'
import { functionTool, invalid, membersOf, type Members } from './call.ts'

type System = Extract<LanguageModelV4Message, { role: 'system' }>

export class Turns {
  readonly #system: LanguageModelV4Message[] = []
  readonly #messages: LanguageModelV4Message[] = []
  readonly #toolNames = new Map<string, string>()

  prompt(): LanguageModelV4Message[] {
    return [...this.#system, ...this.#messages]
  }

  /** The newest message that is none of the system's. */
  get last(): LanguageModelV4Message | undefined {
    return this.#messages.at(-1)
  }

  add(message: LanguageModelV4Message): void {
    this.#messages.push(message)
  }

  addSystem(content: string, more: Partial<System> = {}): void {
    this.#system.push({ role: 'system', content, ...more })
  }

  /** A tool was called: its results name the call alone. */
  called(toolCallId: string, toolName: string): void {
    this.#toolNames.set(toolCallId, toolName)
  }

  /** The name of the tool that was called so; undefined = there is no such call. */
  toolOf(toolCallId: unknown): string | undefined {
    return typeof toolCallId === 'string' ? this.#toolNames.get(toolCallId) : undefined
  }

  addResult(result: LanguageModelV4ToolResultPart): void {
    const { last } = this
    if (last?.role === 'tool') last.content.push(result)
    else this.add({ role: 'tool', content: [result] })
  }
}

/** What a user says: text, or parts. `read` gives one part. @throws Failure */
export function userContent<Part>(
  content: unknown,
  param: string,
  read: (part: Members | null, param: string) => Part,
): (Part | { type: 'text'; text: string })[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  if (!Array.isArray(content)) throw invalid(`${param}.content`, 'must be text or a list of parts')
  return (content as unknown[]).map((part, index) => read(membersOf(part), `${param}.content[${index}]`))
}

/** The text of a message that can hold nothing else. @throws Failure */
export function plainText(content: unknown, param: string): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) throw invalid(`${param}.content`, 'must be text or a list of text parts')
  return (content as unknown[])
    .map((value) => {
      const part = membersOf(value)
      const text = part?.['text'] ?? part?.['refusal']
      if (typeof text !== 'string') throw invalid(`${param}.content`, 'may hold text parts only')
      return text
    })
    .join('')
}

/** The functions among the tools; the others are noted as left out. `within`: the member that holds a function, '' = none. @throws Failure */
export function functionTools(
  tools: unknown,
  within: string,
  dropped: string[],
): LanguageModelV4FunctionTool[] {
  if (tools === undefined) return []
  if (!Array.isArray(tools)) throw invalid('tools', 'must be a list')
  return (tools as unknown[]).flatMap((value, index) => {
    const tool = membersOf(value)
    const type = tool?.['type']
    const named = within === '' ? tool : membersOf(tool?.[within])
    const param = `tools[${index}]`
    if (type === 'function' && named !== null)
      return [functionTool(named, within === '' ? param : `${param}.${within}`)]
    if (typeof type !== 'string') throw invalid(param, 'must have a type')
    dropped.push(`tools.${type}`)
    return []
  })
}
