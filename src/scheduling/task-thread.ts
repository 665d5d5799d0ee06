import { Worker } from 'node:worker_threads'
import { lowerOwnPriority } from './thread-priority.ts'

/** A worker has small state and no buffers of its own */
const resourceLimits = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 }

interface Waiting<Answer> {
  worker: Worker
  resolve: (answer: Answer) => void
  reject: (err: Error) => void
}

/** A thread that answers tasks. It starts with the first task; if it fails, the next task starts another one. */
export class TaskThread<Task extends object, Answer extends { id: number }> {
  readonly #source: string
  readonly #waiting = new Map<number, Waiting<Answer>>()
  #worker: Worker | undefined
  #running = false
  #tasks = 0

  /**
   * @param source the text of a function body that has `port` and may `require`; text, so that it works in a bundle,
   *   too
   */
  constructor(source: string) {
    this.#source = source
  }

  /** The number of tasks without an answer */
  get waiting(): number {
    return this.#waiting.size
  }

  worker(): Worker {
    this.#worker ??= this.#start()
    return this.#worker
  }

  /** @returns whether the thread runs; if not, it has begun to start, and tasks wait until it runs */
  start(): boolean {
    this.worker()
    return this.#running
  }

  /** @param worker from {@link worker}; the call fails if that has ended since */
  async ask(worker: Worker, task: Task): Promise<Answer> {
    if (worker !== this.#worker) {
      throw new Error('the thread has ended')
    }
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const id = this.#tasks++
    if (this.#waiting.size === 0) {
      worker.ref()
    }
    this.#waiting.set(id, { worker, resolve, reject })
    worker.postMessage({ id, ...task })
    return await promise
  }

  async stop(): Promise<void> {
    await this.#worker?.terminate()
  }

  #start(): Worker {
    const worker = new Worker(`${lowerOwnPriority}${this.#source}`, { eval: true, execArgv: [], resourceLimits })
    worker.unref()
    worker.on('online', () => {
      this.#running = true
    })
    worker.on('message', (answer: Answer) => {
      this.#waiting.get(answer.id)?.resolve(answer)
      this.#waiting.delete(answer.id)
      if (this.#waiting.size === 0) {
        // an idle thread does not keep the process alive
        worker.unref()
      }
    })
    worker.on('error', err => {
      this.#end(worker, err instanceof Error ? err : new Error('the thread failed', { cause: err }))
    })
    worker.on('exit', () => {
      this.#end(worker, new Error('the thread has ended'))
    })
    return worker
  }

  #end(worker: Worker, err: Error): void {
    if (this.#worker === worker) {
      this.#worker = undefined
      this.#running = false
    }
    for (const [id, waiting] of this.#waiting) {
      if (waiting.worker === worker) {
        waiting.reject(err)
        this.#waiting.delete(id)
      }
    }
  }
}
