import { imageMatcher, type ImageMatcher } from '../../oci/image-globs.ts'

/** What clients are told who pull some images, as the configuration has it */
export interface DeprecationRule {
  /** Globs of repositories, with or without tags */
  images: readonly string[]
  /** Printable ASCII without quotes and backslashes */
  message: string
}

/** Images that clients should no longer use */
export class Deprecations {
  readonly #rules: Array<ImageMatcher & Pick<DeprecationRule, 'message'>>

  constructor(rules: readonly DeprecationRule[]) {
    this.#rules = rules.map(({ images, message }) => ({ ...imageMatcher(images), message }))
  }

  /**
   * What a client is told who pulls from a repository, by the first rule that is about it
   *
   * @param tag undefined where it pulls by digest: then only rules about the whole repository count
   */
  messageFor(repository: string, tag: string | undefined): string | undefined {
    return this.#rules.find(rule => (tag === undefined ? rule.hasWhole(repository) : rule.has(repository, tag)))
      ?.message
  }
}
