import type { Logger } from '../../log.ts'

/** Something that runs: `stop` is called only after `start`, and once */
export interface Part {
  name: string
  start: () => Promise<void>
  stop: () => Promise<void>
}

interface Startable {
  start?: (() => Promise<unknown>) | undefined
  stop?: (() => Promise<unknown>) | undefined
}

/** @param startable whatever has to be started, stopped, or both */
export function part(name: string, startable: Startable): Part {
  return {
    name,
    start: async () => {
      await startable.start?.()
    },
    stop: async () => {
      await startable.stop?.()
    },
  }
}

/** A part made of what is opened and closed, such as a store */
export function store(name: string, opened: { open: () => unknown; close: () => unknown }): Part {
  return {
    name,
    start: async () => {
      await opened.open()
    },
    stop: async () => {
      await opened.close()
    },
  }
}

/** Starts parts one after another, and stops those that run in the reverse order */
export class RunningParts {
  readonly #log: Logger
  readonly #stopTimeout: number
  readonly #running: Part[] = []

  /** @param init.stopTimeout a part that does not stop within it is left behind; milliseconds */
  constructor({ log }: { log: Logger }, { stopTimeout }: { stopTimeout: number }) {
    this.#log = log
    this.#stopTimeout = stopTimeout
  }

  async start(part: Part): Promise<void> {
    await part.start()
    this.#running.push(part)
    this.#log.debug('part started', { part: part.name })
  }

  /** Never throws: the log says which part did not stop */
  async stop(): Promise<void> {
    for (const part of this.#running.splice(0).reverse()) {
      try {
        await withDeadline(part.stop(), this.#stopTimeout)
      } catch (err) {
        this.#log.error('a part did not stop', { part: part.name, err })
      }
    }
  }
}

async function withDeadline(work: Promise<void>, ms: number): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    reject(new Error(`not done within ${ms} ms`))
  }, ms)
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
