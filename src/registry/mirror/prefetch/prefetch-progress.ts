import type { CameFrom } from '../fetch/fetched-leaves.ts'
import { addTo, sum, type ImagePrefetch } from './image-prefetch.ts'

const second = 1000

/** How far a prefetch is */
export interface PrefetchProgress {
  /** The one that is fetched now */
  image: string
  /** Images that were fetched before */
  done: number
  /** Bytes of blobs of this image, and how many of them are here */
  size: number
  bytes: number
  /** Bytes that came within the last second */
  rate: number
  /** Bytes of all images that came since the start */
  sources: CameFrom
}

/** Tells once a second how far a prefetch is, until it is disposed of */
export class ProgressReport implements Disposable {
  readonly #timer: NodeJS.Timeout | undefined
  readonly #came: CameFrom = {}
  #image: ImagePrefetch | undefined
  #done = 0
  #before = 0

  constructor(onProgress: ((progress: PrefetchProgress) => void) | undefined) {
    if (onProgress !== undefined) {
      this.#timer = setInterval(() => {
        const progress = this.#next()
        if (progress !== undefined) {
          onProgress(progress)
        }
      }, second).unref()
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  /** An image is fetched until the result is disposed of */
  begin(image: ImagePrefetch): Disposable {
    this.#image = image
    return {
      [Symbol.dispose]: () => {
        addTo(this.#came, image.came)
        this.#image = undefined
        this.#done++
      },
    }
  }

  #next(): PrefetchProgress | undefined {
    const image = this.#image
    if (image === undefined) {
      return undefined
    }
    const sources = { ...this.#came }
    addTo(sources, image.came)
    const total = sum(Object.values(sources))
    const rate = Math.max(0, total - this.#before)
    this.#before = total
    return { image: image.image.name, done: this.#done, size: image.size, bytes: image.here, rate, sources }
  }
}
