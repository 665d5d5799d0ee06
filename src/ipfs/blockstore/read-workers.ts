/**
 * Threads that read blocks. A read takes four calls of the file system, and Node sends each of them to its thread pool
 * and back; a thread of ours makes all four for one message. Where the block has to be compared with its CID, the
 * thread hashes it as well.
 */
import type { MessagePort } from 'node:worker_threads'
import { availableParallelism } from 'node:os'
import { TaskThread } from '../../scheduling/task-thread.ts'

/** Also with one processor: a slow disk is asked for more than one block at a time */
const minWorkers = 2
const maxWorkers = 4

interface Task {
  path: string
  into: Uint8Array
  modified: number | undefined
}

export interface ReadBlock {
  /** Bytes of the file; where the buffer is smaller, nothing was read */
  size: number
  /** When the file was written: milliseconds since 1970, with decimals */
  modified: number
  /** SHA-256 of what was read; undefined where the file has not been written since it was verified */
  digest: Uint8Array | undefined
}

type Answer = { id: number } & (ReadBlock | { code: string | undefined; message: string })

/**
 * What a thread runs. It is passed on as text, so that it also works where the program is packed into one file: it can
 * use nothing else of this module.
 */
function work(port: MessagePort, fs: typeof import('node:fs'), { hash }: typeof import('node:crypto')): void {
  const read = (path: string, into: Uint8Array, known: number | undefined): ReadBlock => {
    const file = fs.openSync(path, 'r')
    try {
      const { size, mtimeMs: modified } = fs.fstatSync(file)
      let filled = 0
      for (let bytes = -1; size <= into.byteLength && filled < size && bytes !== 0; filled += bytes) {
        bytes = fs.readSync(file, into, filled, size - filled, filled)
      }
      return {
        size: size <= into.byteLength ? filled : size,
        modified,
        digest: modified === known ? undefined : hash('sha256', into.subarray(0, filled), 'buffer'),
      }
    } finally {
      fs.closeSync(file)
    }
  }
  port.on('message', ({ id, path, into, modified }: Task & { id: number }) => {
    try {
      port.postMessage({ id, ...read(path, into, modified) } satisfies Answer)
    } catch (err) {
      port.postMessage({
        id,
        code: (err as NodeJS.ErrnoException).code,
        message: (err as Error).message,
      } satisfies Answer)
    }
  })
}

/** Starts its threads with the first block that is read */
export class ReadWorkers {
  readonly #threads: Array<TaskThread<Task, Answer>>

  constructor(workers = Math.max(minWorkers, Math.min(maxWorkers, availableParallelism()))) {
    const args = "require('node:worker_threads').parentPort, require('node:fs'), require('node:crypto')"
    const source = `(${work.toString()})(${args})`
    this.#threads = Array.from({ length: workers }, () => new TaskThread<Task, Answer>(source))
  }

  /**
   * @param into shared memory, which nobody else may use until the promise settles
   * @param modified when the file that was verified last had been written; if it is still the same, the block is not
   *   hashed
   * @returns undefined where no thread runs yet: waiting for one would take longer than to read the block here
   * @throws the error of the file system, with its `code`
   */
  async read(
    path: string,
    into: Uint8Array<SharedArrayBuffer>,
    modified: number | undefined,
  ): Promise<ReadBlock | undefined> {
    const running = this.#threads.filter(thread => thread.start())
    if (running.length === 0) {
      return undefined
    }
    const thread = running.reduce((least, other) => (other.waiting < least.waiting ? other : least))
    const answer = await thread.ask(thread.worker(), { path, into, modified })
    if ('message' in answer) {
      throw Object.assign(new Error(answer.message), { code: answer.code })
    }
    return answer
  }

  /** Ends the threads; reads that are under way fail */
  async stop(): Promise<void> {
    await Promise.all(
      this.#threads.map(async thread => {
        await thread.stop()
      }),
    )
  }
}
