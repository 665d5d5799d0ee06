import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { imageMatcher, type ImageMatcher } from '../../oci/image-globs.ts'
import { everything } from '../../oci/pagination.ts'
import { referencesOf } from '../manifest-record.ts'

/** Tags that are set once, and never moved or deleted by a client */
export class ImmutableTags {
  readonly #index: Pick<Index, 'manifest' | 'tags'>
  readonly #matcher: ImageMatcher
  /** Told of each move or delete that is refused. Returns at once, and never throws. */
  onRefused: ((repository: string, tag: string, reason: string) => void) | undefined

  /** @param globs of images, such as `prod/**` or `app/*:v*` */
  constructor({ index }: { index: Pick<Index, 'manifest' | 'tags'> }, globs: readonly string[]) {
    this.#index = index
    this.#matcher = imageMatcher(globs)
  }

  has(repository: string, tag: string): boolean {
    return this.#matcher.has(repository, tag)
  }

  /**
   * To be called before a tag that is there is moved or deleted
   *
   * @throws OciError DENIED
   */
  requireMutable(repository: string, tag: string): void {
    if (this.has(repository, tag)) {
      throw this.#denied(repository, tag, 'it can be neither moved nor deleted')
    }
  }

  /**
   * To be called before a manifest or blob is deleted
   *
   * @throws OciError DENIED where an immutable tag needs it
   */
  async requireUnneeded(repository: string, digest: Digest): Promise<void> {
    if (!this.#matcher.hasRepository(repository)) {
      return
    }
    const seen = new Set<Digest>()
    for await (const { tag, record } of this.#index.tags(repository, everything)) {
      if (this.has(repository, tag) && (await this.#needs(repository, record.digest, digest, seen))) {
        throw this.#denied(repository, tag, 'what it needs can not be deleted')
      }
    }
  }

  #denied(repository: string, tag: string, reason: string): OciError {
    const refusal = denied(repository, tag, reason)
    this.onRefused?.(repository, tag, refusal.message)
    return refusal
  }

  /** @param seen what does not need it */
  async #needs(repository: string, from: Digest, wanted: Digest, seen: Set<Digest>): Promise<boolean> {
    const left = [from]
    for (let digest = left.pop(); digest !== undefined; digest = left.pop()) {
      if (digest === wanted) {
        return true
      }
      if (!seen.has(digest)) {
        seen.add(digest)
        const record = await this.#index.manifest(repository, digest)
        left.push(...(record === undefined ? [] : referencesOf(record)))
      }
    }
    return false
  }
}

/** The message is what docker shows */
function denied(repository: string, tag: string, reason: string): OciError {
  return new OciError('DENIED', {
    message: `tag ${tag} of ${repository} is immutable: ${reason}`,
    detail: { name: repository, tag },
  })
}
