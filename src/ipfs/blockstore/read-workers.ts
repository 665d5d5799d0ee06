/**
 * Reading blocks off the main thread: one message there and back, where each block would take four calls of the file system, each with a way
 * to another thread and back. A block that has to be checked is hashed on the way.
 */
import type { MessagePort } from 'node:worker_threads'
import { availableParallelism } from 'node:os'
import { TaskThread } from '../../scheduling/task-thread.ts'

/** A disk that is slow to answer gets more than one question at a time, also where there is one processor */
const minWorkers = 2
const maxWorkers = 4

interface Task {
  path: string
  into: Uint8Array
  modified: number | undefined
}

export interface ReadBlock {
  /** Bytes of the file; where they are more than the buffer takes, none were read */
  size: number
  /** When the file was written: milliseconds since 1970, with decimals */
  modified: number
  /** SHA-256 of what was read; undefined where `modified` is what was known before */
  digest: Uint8Array | undefined
}

type Answer = { id: number } & (ReadBlock | { code: string | undefined; message: string })

/** Gets to the worker as text, so that it works from whatever file the program was packed into: it may use nothing of this module */
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

/** Threads that start with the first block that needs them */
export class ReadWorkers {
  readonly #threads: Array<TaskThread<Task, Answer>>

  constructor(workers = Math.max(minWorkers, Math.min(maxWorkers, availableParallelism()))) {
    const source = `(${work.toString()})(require('node:worker_threads').parentPort, require('node:fs'), require('node:crypto'))`
    this.#threads = Array.from({ length: workers }, () => new TaskThread<Task, Answer>(source))
  }

  /**
   * @param into shared memory, which nobody else may use until the promise settles
   * @param modified of the file as it was when it was checked last: it is not hashed if that has not changed
   * @returns undefined where no thread runs yet: until one does takes longer than to read a block
   * @throws what the file system throws, with its `code`
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

  /** Ends the threads; whatever is being read fails */
  async stop(): Promise<void> {
    await Promise.all(
      this.#threads.map(async thread => {
        await thread.stop()
      }),
    )
  }
}
