import { Worker } from 'node:worker_threads'
import { lowerOwnPriority } from './thread-priority.ts'

/** A worker holds a few hash states and no bytes of its own */
const resourceLimits = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 }

interface Waiting<Answer> {
  worker: Worker
  resolve: (answer: Answer) => void
  reject: (err: Error) => void
}

/** A thread that answers tasks, started with the first of them, and the next one after it should have failed */
export class TaskThread<Task extends object, Answer extends { id: number }> {
  readonly #source: string
  readonly #waiting = new Map<number, Waiting<Answer>>()
  #worker: Worker | undefined
  #running = false
  #tasks = 0

  /**
   * @param source of a function body that has `port`, and may `require`: text, so that it works from whatever file the
   * program was packed into
   */
  constructor(source: string) {
    this.#source = source
  }

  /** Tasks without an answer yet */
  get waiting(): number {
    return this.#waiting.size
  }

  worker(): Worker {
    this.#worker ??= this.#start()
    return this.#worker
  }

  /** @returns whether it runs; one that does not yet has begun to start, and lets tasks wait until it does */
  start(): boolean {
    this.worker()
    return this.#running
  }

  /** @param worker of {@link worker}; fails where it has ended since */
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
