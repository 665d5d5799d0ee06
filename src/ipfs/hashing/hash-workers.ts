/**
 * Hashing off the main thread: each byte that is pushed is hashed twice, for its leaf and for the blob, which takes longer than
 * everything else that happens to it. A leaf crosses over without a copy where its buffer is shared memory.
 */
import { availableParallelism } from 'node:os'
import type { MessagePort, Worker } from 'node:worker_threads'
import type { DigestAlgorithm } from '../../oci/digest.ts'
import { inlineHasher, type FileHasher, type Hasher, type TailHashes } from './hasher.ts'
import { TaskThread } from '../../scheduling/task-thread.ts'

/** One core is left to the main thread; more workers than this, and the disk is slower than they are */
const maxWorkers = 4
/** The first leaf of a file is not sent across where it is the only one and shorter than this: that would take longer */
const smallFile = 64 * 1024
interface Task {
  file: number
  /** `discard` is not answered */
  kind: 'leaf' | 'tail' | 'discard'
  algorithm: DigestAlgorithm | undefined
  bytes?: Uint8Array
}

interface Answer extends TailHashes {
  id: number
}

/**
 * What a worker does. It gets there as text, so that it works from whatever file the program was packed into: it may use nothing of this module.
 */
function work(port: MessagePort, { createHash, hash }: typeof import('node:crypto')): void {
  const files = new Map<number, import('node:crypto').Hash>()
  port.on('message', ({ id, file, kind, algorithm, bytes }: Task & { id: number }) => {
    if (kind === 'discard' || bytes === undefined) {
      files.delete(file)
      return
    }
    const leaf = hash('sha256', bytes, 'buffer')
    const whole = algorithm === undefined ? undefined : (files.get(file) ?? createHash(algorithm))
    if (whole !== undefined && kind === 'leaf') {
      files.set(file, whole.update(bytes))
    }
    port.postMessage({
      id,
      leaf,
      whole: kind === 'leaf' || whole === undefined ? leaf : whole.copy().update(bytes).digest(),
    } satisfies Answer)
  })
}

class HashThread extends TaskThread<Task, Answer> {
  /** How many files it works on */
  files = 0

  constructor() {
    super(`(${work.toString()})(require('node:worker_threads').parentPort, require('node:crypto'))`)
  }
}

/** Threads that start with the first file that needs them */
export class HashWorkers implements Hasher {
  readonly #threads: HashThread[]
  #files = 0

  constructor(workers = Math.max(1, Math.min(maxWorkers, availableParallelism() - 1))) {
    this.#threads = Array.from({ length: workers }, () => new HashThread())
  }

  /** Ends the threads; whatever is being hashed fails */
  async stop(): Promise<void> {
    await Promise.all(
      this.#threads.map(async thread => {
        await thread.stop()
      }),
    )
  }

  file(algorithm?: DigestAlgorithm): FileHasher {
    const thread = this.#threads.reduce((least, other) => (other.files < least.files ? other : least))
    return new WorkerFileHasher(thread, this.#files++, algorithm)
  }
}

class WorkerFileHasher implements FileHasher {
  readonly #thread: HashThread
  readonly #file: number
  readonly #algorithm: DigestAlgorithm | undefined
  /** The thread's worker that has this file's state; another one can't go on with it */
  #worker: Worker | undefined
  #discarded = false

  constructor(thread: HashThread, file: number, algorithm: DigestAlgorithm | undefined) {
    this.#thread = thread
    this.#file = file
    this.#algorithm = algorithm
    thread.files++
  }

  async leaf(bytes: Uint8Array): Promise<Uint8Array> {
    return (await this.#ask('leaf', bytes)).leaf
  }

  async tail(bytes: Uint8Array): Promise<TailHashes> {
    if (this.#worker === undefined && bytes.byteLength <= smallFile) {
      return await inlineHasher.file(this.#algorithm).tail(bytes)
    }
    return await this.#ask('tail', bytes)
  }

  discard(): void {
    if (!this.#discarded) {
      this.#discarded = true
      this.#thread.files--
      this.#worker?.postMessage({ file: this.#file, kind: 'discard', algorithm: undefined } satisfies Task)
    }
  }

  async #ask(kind: 'leaf' | 'tail', bytes: Uint8Array): Promise<Answer> {
    this.#worker ??= this.#thread.worker()
    return await this.#thread.ask(this.#worker, { file: this.#file, kind, algorithm: this.#algorithm, bytes })
  }
}
