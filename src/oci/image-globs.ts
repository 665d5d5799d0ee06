import { globMatcher } from './globs.ts'

/** What a list of image globs is about, each a repository or a glob, with or without a tag or a glob of tags */
export interface ImageMatcher {
  /** Whether a repository, or some of its tags, is meant */
  hasRepository: (repository: string) => boolean
  /** Whether all of a repository is meant, whatever its tags */
  hasWhole: (repository: string) => boolean
  has: (repository: string, tag: string) => boolean
}

/** @param globs such as `prod/**` or `app/*:v*`; without a tag, all of the repository is meant */
export function imageMatcher(globs: readonly string[]): ImageMatcher {
  const items = globs.map(glob => {
    const [repository = '', tag] = glob.split(':')
    return { isRepository: globMatcher([repository]), isTag: tag === undefined ? undefined : globMatcher([tag]) }
  })
  return {
    hasRepository: repository => items.some(item => item.isRepository(repository)),
    hasWhole: repository => items.some(item => item.isTag === undefined && item.isRepository(repository)),
    has: (repository, tag) =>
      items.some(item => item.isRepository(repository) && (item.isTag === undefined || item.isTag(tag))),
  }
}
