import type { Writable } from 'node:stream'
import { inspect } from 'node:util'
import { line, printableLines } from './printable.ts'

/** Of one problem: more is not read, and whoever sent it may have meant to flood the screen */
const maxLength = 4000

interface ExpectedError extends Error {
  expected: true
  /** One line each, where an error stands for several */
  problems?: readonly string[]
  hint?: string | undefined
}

/** An expected error takes a line for each of its problems; anything else is a bug, and its stack is what helps */
export function reportError(err: unknown, stderr: Writable): void {
  if (!isExpected(err)) {
    stderr.write(`ipdr: this is a bug, please report it with these lines:\n${printableLines(inspect(err))}\n`)
    return
  }
  for (const problem of err.problems ?? [err.message]) {
    stderr.write(line`ipdr: ${oneLine(problem)}`)
  }
  if (err.hint !== undefined) {
    stderr.write(line`${oneLine(err.hint)}`)
  }
}

function oneLine(text: string): string {
  const joined = text.replace(/[\r\n]+/g, ' ')
  return joined.length > maxLength ? `${joined.slice(0, maxLength)}...` : joined
}

function isExpected(err: unknown): err is ExpectedError {
  return err instanceof Error && 'expected' in err && err.expected === true
}
