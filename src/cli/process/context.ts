import type { Writable } from 'node:stream'

/** What the commands use of the process; tests bring their own */
export interface CliContext {
  stdout: Writable
  stderr: Writable
  /** Undefined: that of the process */
  env: NodeJS.ProcessEnv | undefined
  process: ProcessEvents
}

/** SIGINT, SIGTERM, SIGHUP, uncaughtException and unhandledRejection, and the way out that waits for nothing */
export interface ProcessEvents {
  on(event: string, listener: (value: unknown) => void): unknown
  off(event: string, listener: (value: unknown) => void): unknown
  exit(code: number): void
}

export function processContext(): CliContext {
  return { stdout: process.stdout, stderr: process.stderr, env: undefined, process }
}
