/**
 * `registry/mirror/prefetch` fetches images of other registries before a client asks for them, by the same fetches as
 * for clients. This file is the place to begin.
 *
 * - `image-names.ts`: which images a user means
 * - `image-prefetch.ts`: one image: manifests, platforms, and blobs that are not here; `prefetch-progress.ts`: how far
 *   it is
 * - `prefetch-schedule.ts`: what the configuration wants to be here, again and again
 */
import { OciError } from '../../../oci/errors.ts'
import type { Logger } from '../../../log.ts'
import { formatPlatform, readPlatform, type Platform } from '../../../oci/manifest/platform.ts'
import { Slots } from '../../../scheduling/slots.ts'
import { toOciError } from '../../errors.ts'
import { ImageNames, type ImageNamesComponents, type NamedImage } from './image-names.ts'
import {
  blobsAtOnce,
  ImagePrefetch,
  type ImagePrefetchComponents,
  type ImagePrefetchInit,
  type PrefetchedImage,
} from './image-prefetch.ts'
import { ownPlatform } from './own-platform.ts'
import { ProgressReport, type PrefetchProgress } from './prefetch-progress.ts'
import { PrefetchSchedule, type PrefetchScheduleComponents, type PrefetchScheduleInit } from './prefetch-schedule.ts'

const second = 1000

export interface PrefetcherComponents extends ImageNamesComponents, Pick<ImagePrefetchComponents, 'manifests'> {
  readOnly: PrefetchScheduleComponents['readOnly']
  requireServing?: PrefetchScheduleComponents['requireServing']
  space: PrefetchScheduleComponents['space']
  log: Logger
}

export interface PrefetcherInit {
  /** What is prefetched again and again; @default nothing */
  schedules?: readonly PrefetchScheduleInit[] | undefined
  /** Bytes that images of other registries may take; @default unlimited */
  cacheBytes?: number | undefined
}

export interface PrefetchOptions {
  /** Such as `linux/amd64`, or `all` alone; @default as the upstream has it, else the one of this machine */
  platforms?: readonly string[] | undefined
  onProgress?: ((progress: PrefetchProgress) => void) | undefined
  signal: AbortSignal
}

export interface PrefetchResult {
  images: PrefetchedImage[]
  /** What was not fetched, and why */
  problems: Array<{ name: string; reason: string }>
  seconds: number
}

/** Fetches images of other registries before a client asks for them */
export class Prefetcher {
  readonly #components: PrefetcherComponents
  readonly #cacheBytes: number
  readonly #names: ImageNames
  readonly #schedules: PrefetchSchedule[]
  #controller = new AbortController()

  constructor(components: PrefetcherComponents, { cacheBytes = Infinity, schedules = [] }: PrefetcherInit = {}) {
    this.#components = components
    this.#cacheBytes = cacheBytes
    this.#names = new ImageNames(components)
    const slots = new Slots(blobsAtOnce)
    this.#schedules = schedules.map(
      init =>
        new PrefetchSchedule(
          {
            ...components,
            names: this.#names,
            prefetch: async (image, seen, signal) => await this.#create(image, { seen, slots }).run(signal),
          },
          { ...init, cacheBytes },
        ),
    )
  }

  start(): void {
    this.#controller = new AbortController()
    for (const schedule of this.#schedules) {
      schedule.start()
    }
  }

  /** Cuts everything short; what has come of a blob is kept, as after a pull */
  async stop(): Promise<void> {
    this.#controller.abort(new OciError('UNAVAILABLE', { detail: { reason: 'the server stops' } }))
    await Promise.all(this.#schedules.map(async schedule => await schedule.stop()))
  }

  /**
   * Fetches images now. One that can't be had does not keep the others from coming.
   *
   * @param names as `ImageNames.parse` reads them
   * @throws OciError where a name or platform is none, or the registry is read-only; the reason of the signal
   */
  async prefetch(
    names: readonly string[],
    { onProgress, platforms, signal }: PrefetchOptions,
  ): Promise<PrefetchResult> {
    const { log, readOnly, requireServing } = this.#components
    requireServing?.()
    const patterns = names.map(name => ({ name, pattern: this.#names.parse(name) }))
    const init = { platforms: platforms && readPlatforms(platforms), slots: new Slots(blobsAtOnce) }
    using _write = readOnly.begin()
    const both = AbortSignal.any([signal, this.#controller.signal, readOnly.signal])
    using report = new ProgressReport(onProgress)
    const began = performance.now()
    const result: PrefetchResult = { images: [], problems: [], seconds: 0 }
    const failed = (name: string, err: unknown): void => {
      both.throwIfAborted()
      log.warn('image not prefetched', { name, err })
      result.problems.push({ name, reason: reasonOf(err) })
    }
    for (const { name, pattern } of patterns) {
      const before = result.images.length + result.problems.length
      try {
        for await (const image of this.#names.images(pattern, { signal: both })) {
          const prefetch = this.#create(image, init)
          using _current = report.begin(prefetch)
          await prefetch.run(both).then(
            done => {
              log.info('image prefetched', { ...done })
              result.images.push(done)
            },
            (err: unknown) => {
              failed(image.name, err)
            },
          )
        }
        if (before === result.images.length + result.problems.length) {
          result.problems.push({ name, reason: 'no image matches' })
        }
      } catch (err) {
        failed(name, err)
      }
    }
    return { ...result, seconds: Math.round(performance.now() - began) / second }
  }

  #create(
    image: NamedImage,
    { platforms, seen, slots }: Partial<ImagePrefetchInit> & Pick<ImagePrefetchComponents, 'slots'>,
  ): ImagePrefetch {
    const listed = image.upstream.platforms
    return new ImagePrefetch({ ...this.#components, slots }, image, {
      platforms: platforms ?? (listed === undefined ? [ownPlatform] : readPlatforms(listed)),
      maxBytes: this.#cacheBytes,
      seen,
    })
  }
}

/** @throws OciError REQUEST_INVALID */
function readPlatforms(texts: readonly string[]): Platform[] | 'all' {
  return texts.includes('all') ? 'all' : texts.map(requirePlatform)
}

function requirePlatform(text: string): Platform {
  const platform = readPlatform(text)
  if (platform === undefined) {
    const reason = `${text.slice(0, 100)} is not a platform such as ${formatPlatform(ownPlatform)}`
    throw new OciError('REQUEST_INVALID', { detail: { reason } })
  }
  return platform
}

/** For whoever asked for an image; the log has the whole error */
function reasonOf(err: unknown): string {
  const known = toOciError(err)
  if (!(known instanceof OciError)) {
    return 'it failed here: see the log'
  }
  if (known.code === 'MANIFEST_UNKNOWN' && known.detail?.['reason'] === undefined) {
    return `${known.detail?.['upstream']} has no such image`
  }
  const reason = known.detail?.['reason']
  return typeof reason === 'string' ? `${known.message}: ${reason}` : known.message
}
