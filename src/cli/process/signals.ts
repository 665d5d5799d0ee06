import type { ProcessEvents } from './context.ts'

/** The exit code that shells report for a process that a signal ended: 128 plus the number of the signal */
export const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const

export interface StopSignal extends Disposable {
  /** Aborted by the first SIGINT or SIGTERM; the second ends the process at once */
  signal: AbortSignal
}

/** Listens for SIGINT and SIGTERM until it is disposed of */
export function stopSignal(events: ProcessEvents): StopSignal {
  const controller = new AbortController()
  const listeners = Object.entries(exitCodes).map(([name, code]) => {
    const listener = (): void => (controller.signal.aborted ? events.exit(code) : controller.abort(name))
    events.on(name, listener)
    return [name, listener] as const
  })
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => listeners.forEach(([name, listener]) => events.off(name, listener)),
  }
}

/** Resolves once the signal is aborted */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) {
    await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
  }
}
