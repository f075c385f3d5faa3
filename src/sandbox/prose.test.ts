import { expect, test } from 'bun:test'
import { answerText } from './prose.ts'

test.each([
  ['Say hello', 'Hello.'],
  ['please say good morning!', 'Good morning!'],
  ['  Please, say "hi there"\n', 'Hi there.'],
  ['say élan 😀', 'Élan 😀.'],
  ['Say: Hello', 'Hello'],
  ['Say exactly: as  is ', 'as  is '],
])('%p is answered %p', (prompt, answer) => {
  expect(answerText(prompt)).toBe(answer)
})

test.each(['Say', 'Say exactly:', 'Essay on gates', 'Say one\nand two', `Say ${'x'.repeat(101)}`, 'Hello'])(
  '%p is answered at length, and always the same',
  (prompt) => {
    expect(answerText(prompt)).toContain('. ')
    expect(answerText(prompt)).toBe(answerText(prompt))
  },
)
