import { setTimeout as sleep } from 'node:timers/promises'
import type { StorageSpace } from '../../../ipfs/blockstore/storage-space.ts'
import type { Logger } from '../../../log.ts'
import type { Digest } from '../../../oci/digest.ts'
import { OciError } from '../../../oci/errors.ts'
import { toOciError } from '../../errors.ts'
import type { ReadOnlyMode } from '../../policies/read-only-mode.ts'
import type { ImageNames, NamedImage } from './image-names.ts'
import { sum, type PrefetchedImage } from './image-prefetch.ts'

const second = 1000
/** The first run, and each pause, is longer by a part of the pause that chance decides: at most this one */
const jitter = 0.1
/** So many images that the upstream does not deliver, one after another, end a run: it delivers the rest no more */
const maxFailures = 3

export interface PrefetchScheduleComponents {
  names: Pick<ImageNames, 'images' | 'parse'>
  /** Adds the blobs of the image, with their bytes, to `seen` */
  prefetch: (image: NamedImage, seen: Map<Digest, number>, signal: AbortSignal) => Promise<PrefetchedImage>
  /** Throws while nothing may be asked of the registry. @default it never does */
  requireServing?: (() => void) | undefined
  readOnly: Pick<ReadOnlyMode, 'begin' | 'signal'>
  space: Pick<StorageSpace, 'hasRoom'>
  log: Logger
}

export interface PrefetchScheduleInit {
  /** Name of an upstream */
  upstream: string
  /** What is to be here, as `ImageNames.parse` reads it below the upstream */
  names: readonly string[]
  /** Milliseconds from one run to the next */
  every: number
}

interface Run {
  images: number
  failed: number
  /** Bytes that came */
  fetched: number
  /** Bytes of the blobs of all images */
  seen: Map<Digest, number>
  /** Images that the upstream did not deliver since the last one that came */
  row: number
}

/** Why a run ends before all images were looked at; the next one begins after `wait` milliseconds, if that is later */
class RunEnd extends Error {
  static readonly name = 'RunEnd'
  readonly name = 'RunEnd'
  readonly wait: number

  constructor(reason: string, wait = 0) {
    super(reason)
    this.wait = wait
  }
}

/** Keeps images of one upstream here, and up to date */
export class PrefetchSchedule {
  readonly #components: PrefetchScheduleComponents
  readonly #init: PrefetchScheduleInit & { cacheBytes: number }
  #controller: AbortController | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(components: PrefetchScheduleComponents, init: PrefetchScheduleInit & { cacheBytes: number }) {
    this.#components = components
    this.#init = init
  }

  start(): void {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      this.#running = this.#repeat(this.#controller.signal)
    }
  }

  async stop(): Promise<void> {
    this.#controller?.abort(new OciError('UNAVAILABLE', { detail: { reason: 'the server stops' } }))
    this.#controller = undefined
    await this.#running
  }

  /** Never rejects */
  async #repeat(signal: AbortSignal): Promise<void> {
    const { every } = this.#init
    // appliances that were started together do not ask together
    let wait = 0
    while (!signal.aborted) {
      await sleep(wait + every * jitter * Math.random(), undefined, { signal, ref: false }).catch(() => {})
      if (!signal.aborted) {
        wait = Math.max(every, await this.#run(signal))
      }
    }
  }

  /** @returns milliseconds for which the upstream wants to be left alone; never rejects */
  async #run(signal: AbortSignal): Promise<number> {
    const { log, readOnly } = this.#components
    const { names, upstream } = this.#init
    const run: Run = { images: 0, failed: 0, fetched: 0, seen: new Map(), row: 0 }
    try {
      using _write = readOnly.begin()
      const both = AbortSignal.any([signal, readOnly.signal])
      for (const name of names) {
        await this.#prefetchAll(`${upstream}/${name}`, run, both)
      }
      log[run.fetched + run.failed > 0 ? 'info' : 'debug']('prefetch ended', { upstream, ...outcomeOf(run) })
      return 0
    } catch (err) {
      if (!signal.aborted) {
        log.warn('prefetch ended early', { upstream, reason: (err as Error).message, ...outcomeOf(run) })
      }
      return err instanceof RunEnd ? err.wait : 0
    }
  }

  async #prefetchAll(name: string, run: Run, signal: AbortSignal): Promise<void> {
    const { names, prefetch } = this.#components
    try {
      for await (const image of names.images(names.parse(name), { signal })) {
        await this.#requireRoom(run)
        try {
          this.#came(await prefetch(image, run.seen, signal), run)
        } catch (err) {
          this.#failed(image.name, err, run, signal)
        }
      }
    } catch (err) {
      this.#failed(name, err, run, signal)
    }
  }

  async #requireRoom({ seen }: Run): Promise<void> {
    const { cacheBytes } = this.#init
    this.#components.requireServing?.()
    if (sum([...seen.values()]) > cacheBytes) {
      throw new RunEnd(
        `the images have more than the ${cacheBytes} bytes of cache.maxBytes, and would evict each other`,
      )
    }
    if (!(await this.#components.space.hasRoom())) {
      throw new RunEnd('the storage is full')
    }
  }

  #came(image: PrefetchedImage, run: Run): void {
    run.images++
    run.row = 0
    run.fetched += image.fetched
    if (image.fetched > 0) {
      this.#components.log.info('image prefetched', { ...image })
    }
  }

  /** @throws RunEnd where the rest need not be tried */
  #failed(name: string, err: unknown, run: Run, signal: AbortSignal): void {
    signal.throwIfAborted()
    if (err instanceof RunEnd) {
      throw err
    }
    run.failed++
    const known = toOciError(err) as Partial<OciError>
    run.row += known.code === 'UNAVAILABLE' ? 1 : 0
    const { message, detail } = known
    this.#components.log.warn('image not prefetched', { name, reason: detail?.['reason'] ?? message })
    const retryAfter = Number(known.headers?.['Retry-After'])
    if (retryAfter > 0) {
      throw new RunEnd('the upstream wants to be left alone', retryAfter * second)
    }
    if (known.code === 'STORAGE_FULL') {
      throw new RunEnd('the storage is full')
    }
    if (run.row >= maxFailures) {
      throw new RunEnd(`${maxFailures} images in a row did not come`)
    }
  }
}

function outcomeOf({ failed, fetched, images }: Run): Omit<Run, 'row' | 'seen'> {
  return { images, failed, fetched }
}
