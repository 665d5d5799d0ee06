/**
 * Threads that hash. Each byte of a push is hashed twice, for its leaf and for the blob, which takes longer than
 * everything else that happens to it. A leaf in shared memory gets to the thread without a copy.
 */
import { availableParallelism } from 'node:os'
import type { MessagePort, Worker } from 'node:worker_threads'
import type { DigestAlgorithm } from '../../oci/digest.ts'
import { inlineHasher, type FileHasher, type Hasher, type TailHashes } from './hasher.ts'
import { TaskThread } from '../../scheduling/task-thread.ts'

/**
 * With more threads than this the disk would be slower than they are; one core is left to the main thread in any case
 */
const maxWorkers = 4
/** A file up to this size is hashed on the main thread: sending it to another would take longer */
const smallFile = 64 * 1024

interface Task {
  file: number
  /** `discard` gets no answer */
  kind: 'leaf' | 'tail' | 'discard'
  algorithm: DigestAlgorithm | undefined
  bytes?: Uint8Array
}

interface Answer extends TailHashes {
  id: number
}

/**
 * What a thread runs. It is passed on as text, so that it also works where the program is packed into one file: it can
 * use nothing else of this module.
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
  /** Files that it works on now */
  files = 0

  constructor() {
    super(`(${work.toString()})(require('node:worker_threads').parentPort, require('node:crypto'))`)
  }
}

/** Starts its threads with the first files that are hashed; each file stays on one thread */
export class HashWorkers implements Hasher {
  readonly #threads: HashThread[]
  #files = 0

  constructor(workers = Math.max(1, Math.min(maxWorkers, availableParallelism() - 1))) {
    this.#threads = Array.from({ length: workers }, () => new HashThread())
  }

  /** Ends the threads; hashing that is under way fails */
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
  /** The worker with the state of this file; if it fails, its successor can't continue the file */
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
