/**
 * Threads that hash. Each byte of a push is hashed twice, for its leaf and for the blob, which takes longer than
 * everything else that happens to it. A leaf in shared memory gets to the thread without a copy.
 */
import { hash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { MessagePort, Worker } from 'node:worker_threads'
import type { DigestAlgorithm } from '../../oci/digest.ts'
import { BufferPool, copyToShared } from '../blocks/buffer-pool.ts'
import { inlineHasher, smallFile, type FileHasher, type Hasher, type TailHashes } from './hasher.ts'
import { TaskThread } from '../../scheduling/task-thread.ts'

/**
 * With more threads than this the disk would be slower than they are; one core is left to the main thread in any case
 */
const maxWorkers = 4
/** Stands for the file of a block that belongs to none; real ones are counted from 0 */
const noFile = -1
/** Bytes that are copied to shared memory at a time */
const copySize = 1024 * 1024
/** Copies that are kept for the next ones */
const maxCopies = 8
/**
 * Tasks of a thread beyond which a block is hashed here. So blocks do not pile up that come faster than they are
 * hashed, nor wait for a thread that gets no time, as its priority is lower.
 */
const maxWaiting = 2
/** A block that comes after this long without one is the first of something that somebody waits for; milliseconds */
const pause = 100

interface Task {
  file: number
  /** `add` counts for the file alone; `discard` gets no answer */
  kind: 'leaf' | 'add' | 'tail' | 'discard'
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
  /** @returns the hash of a file up to the end of these bytes; a tail does not count for what follows */
  const advance = (
    file: number,
    kind: Task['kind'],
    algorithm: DigestAlgorithm,
    bytes: Uint8Array,
  ): import('node:crypto').Hash => {
    const before = files.get(file)
    const whole = ((kind === 'tail' ? before?.copy() : before) ?? createHash(algorithm)).update(bytes)
    if (kind !== 'tail') {
      files.set(file, whole)
    }
    return whole
  }
  port.on('message', ({ id, file, kind, algorithm, bytes }: Task & { id: number }) => {
    if (kind === 'discard' || bytes === undefined) {
      files.delete(file)
      return
    }
    const isFirst = !files.has(file)
    const whole = algorithm === undefined ? undefined : advance(file, kind, algorithm, bytes)
    // the first leaf is all of the file so far: its bytes are hashed once for both
    const isBoth = isFirst && algorithm === 'sha256'
    const leaf = kind === 'add' ? undefined : isBoth ? whole?.copy().digest() : hash('sha256', bytes, 'buffer')
    port.postMessage({
      id,
      leaf: leaf ?? new Uint8Array(),
      whole: (kind === 'tail' ? whole?.digest() : leaf) ?? new Uint8Array(),
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
  readonly #copies = new BufferPool(copySize, maxCopies)
  #files = 0
  #lastBlock = -Infinity

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
    return new WorkerFileHasher({ thread, copies: this.#copies }, this.#files++, algorithm)
  }

  /**
   * Hashes a block in any memory; its bytes may change after the call. A thread does that for blocks that follow each
   * other closely, as far as it has time.
   */
  block(bytes: Uint8Array): Uint8Array | Promise<Uint8Array> {
    if (bytes.byteLength <= smallFile || bytes.byteLength > copySize) {
      return hash('sha256', bytes, 'buffer')
    }
    const now = performance.now()
    const isFirst = now - this.#lastBlock > pause
    this.#lastBlock = now
    const thread = this.#threads.reduce((least, other) => (other.waiting < least.waiting ? other : least))
    if (!thread.start() || isFirst || thread.waiting >= maxWaiting) {
      return hash('sha256', bytes, 'buffer')
    }
    return withCopy(this.#copies, bytes, async bytes => {
      const task: Task = { file: noFile, kind: 'leaf', algorithm: undefined, bytes }
      return (await thread.ask(thread.worker(), task)).leaf
    })
  }
}

/** Copies before it returns; `use` may be done with the copy once its promise settles */
async function withCopy<T>(copies: BufferPool, bytes: Uint8Array, use: (copy: Uint8Array) => Promise<T>): Promise<T> {
  const copy = copies.take()
  try {
    copyToShared(bytes, copy, 0)
    return await use(copy.subarray(0, bytes.byteLength))
  } finally {
    copies.give(copy)
  }
}

class WorkerFileHasher implements FileHasher {
  readonly #thread: HashThread
  readonly #copies: BufferPool
  readonly #file: number
  readonly #algorithm: DigestAlgorithm | undefined
  /** The worker with the state of this file; if it fails, its successor can't continue the file */
  #worker: Worker | undefined
  #discarded = false

  constructor(
    { thread, copies }: { thread: HashThread; copies: BufferPool },
    file: number,
    algorithm: DigestAlgorithm | undefined,
  ) {
    this.#thread = thread
    this.#copies = copies
    this.#file = file
    this.#algorithm = algorithm
    thread.files++
  }

  async leaf(bytes: Uint8Array): Promise<Uint8Array> {
    return (await this.#ask('leaf', bytes)).leaf
  }

  async add(bytes: Uint8Array): Promise<void> {
    const pieces = Array.from({ length: Math.ceil(bytes.byteLength / copySize) }, (_, i) =>
      bytes.subarray(i * copySize, (i + 1) * copySize),
    )
    await Promise.all(
      pieces.map(async piece => {
        await withCopy(this.#copies, piece, async copy => await this.#ask('add', copy))
      }),
    )
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

  async #ask(kind: 'leaf' | 'add' | 'tail', bytes: Uint8Array): Promise<Answer> {
    this.#worker ??= this.#thread.worker()
    return await this.#thread.ask(this.#worker, { file: this.#file, kind, algorithm: this.#algorithm, bytes })
  }
}
