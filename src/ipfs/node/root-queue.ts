import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { Logger } from '../../log.ts'

/** Time between two checks whether the work can be done, and after a failure; milliseconds */
const retryInterval = 5000
/** How long a root that was processed is not processed again; milliseconds */
const doneAge = 12 * 60 * 60 * 1000
/** The most roots that wait; a further one displaces the oldest */
const maxRoots = 10_000

export interface RootQueueInit {
  /** The name of the work, for the log */
  name: string
  /** Whether the work can be done now */
  isReady: () => boolean
  /** Whether it is to be done for an image root when its turn comes; @default it is */
  isWanted?: (root: string) => Promise<boolean>
  /** Does it for one image root */
  work: (root: string, signal: AbortSignal) => Promise<void>
  /** How long the work may take for one root; milliseconds */
  timeout: number
}

/** Does something for each image root in the background, one after another; what fails is tried again */
export class RootQueue {
  readonly #log: Logger
  readonly #init: RootQueueInit
  readonly #waiting = new Set<string>()
  readonly #done = new LRUCache<string, true>({ max: maxRoots, ttl: doneAge })
  #controller: AbortController | undefined
  #running: Promise<void> = Promise.resolve()
  #wake: () => void = () => {}

  constructor({ log }: { log: Logger }, init: RootQueueInit) {
    this.#log = log
    this.#init = init
  }

  /** Image roots that wait for their turn, and those that were processed within the last 12 hours */
  get counts(): { waiting: number; done: number } {
    this.#done.purgeStale()
    return { waiting: this.#waiting.size, done: this.#done.size }
  }

  async start(): Promise<void> {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      this.#running = this.#run(this.#controller.signal)
    }
  }

  async stop(): Promise<void> {
    this.#controller?.abort()
    this.#controller = undefined
    this.#wake()
    await this.#running
  }

  /** @param root CID of an image root that is here. Returns at once. */
  add(root: string): void {
    if (this.#done.has(root)) {
      return
    }
    this.#waiting.add(root)
    const [oldest] = this.#waiting
    if (this.#waiting.size > maxRoots && oldest !== undefined) {
      this.#waiting.delete(oldest)
    }
    this.#wake()
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const [root] = this.#waiting
      if (root === undefined) {
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
      } else if (!this.#init.isReady() || !(await this.#work(root, signal))) {
        await sleep(retryInterval, undefined, { signal, ref: false }).catch(() => {})
      }
    }
  }

  /** @returns whether it succeeded */
  async #work(root: string, signal: AbortSignal): Promise<boolean> {
    const { isWanted, name, timeout, work } = this.#init
    this.#waiting.delete(root)
    try {
      if ((await isWanted?.(root)) === false) {
        return true
      }
      await work(root, AbortSignal.any([signal, AbortSignal.timeout(timeout)]))
      this.#done.set(root, true)
      this.#log.debug('done for an image root', { work: name, cid: root })
      return true
    } catch (err) {
      this.#waiting.add(root)
      this.#log.debug('not done for an image root', { work: name, cid: root, err })
      return false
    }
  }
}
