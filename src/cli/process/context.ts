import type { Readable, Writable } from 'node:stream'

/** What the commands use of the process; tests pass another one */
export interface CliContext {
  stdin: Readable
  stdout: Writable
  stderr: Writable
  /** Standard error as it is, where it is a terminal: for a line that is written anew; @default `stderr` if so */
  terminal?: Writable | undefined
  /** @default the environment of the process */
  env: NodeJS.ProcessEnv | undefined
  process: ProcessEvents
}

/** Events of the process: SIGINT, SIGTERM, SIGHUP, uncaughtException, unhandledRejection; `exit` ends it at once */
export interface ProcessEvents {
  on(event: string, listener: (value: unknown) => void): unknown
  off(event: string, listener: (value: unknown) => void): unknown
  exit(code: number): void
}

export function processContext(): CliContext {
  return { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: undefined, process }
}
