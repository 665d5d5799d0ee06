import { createInterface } from 'node:readline'
import { addAbortSignal } from 'node:stream'
import type { CliContext } from './context.ts'
import { InterruptedError, UsageError } from './errors.ts'
import { exitCodes } from './signals.ts'

/** Bytes of a password that a program hands over */
const maxSecretBytes = 64 * 1024

/** Whether there is somebody at a terminal to ask */
export function canAsk({ stdin }: CliContext): boolean {
  return 'isTTY' in stdin && stdin.isTTY === true
}

/**
 * Asks whoever is at the terminal for a line
 *
 * @param init.secret whether what is typed does not appear
 * @throws InterruptedError after Ctrl+C or Ctrl+D; the reason of the signal
 */
export async function ask(
  { stderr, stdin }: CliContext,
  question: string,
  { secret, signal }: { secret: boolean; signal: AbortSignal },
): Promise<string> {
  // `terminal` keeps the terminal from echoing, before anybody is asked; the interface then echoes to its output, which
  // is none
  const reader = createInterface({ input: stdin, terminal: secret, historySize: 0 })
  stderr.write(question)
  const { promise, reject, resolve } = Promise.withResolvers<string>()
  const interrupt = (): void => {
    reject(new InterruptedError(exitCodes.SIGINT))
  }
  const abort = (): void => {
    reject(signal.reason as Error)
  }
  signal.addEventListener('abort', abort, { once: true })
  reader.once('line', resolve).once('SIGINT', interrupt).once('close', interrupt)
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', abort)
    reader.close()
    if (secret) {
      stderr.write('\n')
    }
  }
}

/**
 * A password that another program hands over on standard input: all of it, without the line break at its end
 *
 * @throws UsageError if there is none, or something too long
 */
export async function readSecret({ stdin }: CliContext, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of addAbortSignal(signal, stdin)) {
    const bytes = Buffer.from(chunk as Uint8Array)
    size += bytes.length
    if (size > maxSecretBytes) {
      throw new UsageError(`standard input has more than ${maxSecretBytes} bytes, which is no password`)
    }
    chunks.push(bytes)
  }
  const secret = Buffer.concat(chunks)
    .toString()
    .replace(/\r?\n$/, '')
  if (secret === '') {
    throw new UsageError('standard input has no password')
  }
  return secret
}
