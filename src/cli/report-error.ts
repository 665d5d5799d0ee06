import type { Writable } from 'node:stream'
import { inspect } from 'node:util'

interface ExpectedError extends Error {
  expected: true
  /** One line each, where an error stands for several */
  problems?: readonly string[]
  hint?: string | undefined
}

/** An expected error takes a line for each of its problems; anything else is a bug, and its stack is what helps */
export function reportError (err: unknown, stderr: Writable): void {
  if (!isExpected(err)) {
    stderr.write(`ipdr: this is a bug, please report it with these lines:\n${inspect(err)}\n`)
    return
  }
  for (const problem of err.problems ?? [err.message]) {
    stderr.write(`ipdr: ${problem.replaceAll('\n', ' ')}\n`)
  }
  if (err.hint !== undefined) {
    stderr.write(`${err.hint}\n`)
  }
}

function isExpected (err: unknown): err is ExpectedError {
  return err instanceof Error && 'expected' in err && err.expected === true
}
