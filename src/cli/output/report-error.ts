import type { Writable } from 'node:stream'
import { inspect } from 'node:util'
import { line, printableLines } from './printable.ts'

/** Characters of one problem; more would be a server that floods the screen */
const maxLength = 4000

/** An error that the user can do something about: ClientError, CommandError, ConfigError, StartError */
interface ExpectedError extends Error {
  expected: true
  /** Printed one a line instead of the message */
  problems?: readonly string[]
  hint?: string | undefined
}

/** Prints an expected error as one line for each of its problems, and anything else, which is a bug, with its stack */
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
