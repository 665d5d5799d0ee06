import type { Index } from '../../../index/index.ts'
import { globMatcher } from '../../../oci/globs.ts'
import { parseDigest } from '../../../oci/digest.ts'
import { OciError } from '../../../oci/errors.ts'
import { formatImageName } from '../../../oci/image-name.ts'
import { everything } from '../../../oci/pagination.ts'
import { maxNameLength, parseName, parseTag, type Reference } from '../../../oci/reference.ts'
import { translateErrors } from '../../errors.ts'
import type { MirrorRepository } from '../images/mirror-repository.ts'
import type { UpstreamMirrors } from '../images/mirrors.ts'
import type { Upstream } from '../../upstream.ts'

/** What can't be in a name or a tag, and begins a glob */
const globCharacter = /[*?[{]/
const maxTagLength = 128

export interface ImageNamesComponents {
  index: Pick<Index, 'repositories' | 'tags'>
  mirrors: Pick<UpstreamMirrors, 'find' | 'nameBelow' | 'repository'>
  /** By name */
  upstreams: ReadonlyMap<string, Upstream>
}

/** One image, or those that match: either part may be a glob */
export interface ImagePattern {
  upstream: Upstream
  /** Name at the upstream, or a glob of those that have an image here */
  repository: string
  /** Undefined: `latest`, or for a glob of repositories the tags that are here */
  reference: Reference | { tags: string } | undefined
}

export interface NamedImage {
  /** Such as `docker.io/library/alpine:3` */
  name: string
  upstream: Upstream
  repository: MirrorRepository
  reference: Reference
}

/** The images of upstreams that a user names */
export class ImageNames {
  readonly #components: ImageNamesComponents

  constructor(components: ImageNamesComponents) {
    this.#components = components
  }

  /**
   * Reads `<upstream>/<repository>[:<tag>|@<digest>]`
   *
   * @throws OciError NAME_UNKNOWN where it is not below an upstream; NAME_INVALID, TAG_INVALID, DIGEST_INVALID
   */
  parse(text: string): ImagePattern {
    const { mirrors, upstreams } = this.#components
    const [, path = '', tag, digest] = /^([^/]*\/[^@]*?)(?::([^:/@]*))?(?:@(.*))?$/s.exec(text) ?? []
    const slash = path.indexOf('/')
    const upstream = upstreams.get(path.slice(0, Math.max(0, slash))) ?? mirrors.find(path)?.upstream
    if (upstream === undefined) {
      throw new OciError('NAME_UNKNOWN', {
        detail: {
          reason: `${text.slice(0, maxNameLength)} is not below an upstream (${[...upstreams.keys()].join(', ')})`,
        },
      })
    }
    const repository = path.slice(slash + 1)
    return {
      upstream,
      repository: isGlob(repository) ? repository : parseName(repository),
      reference: digest === undefined ? readTag(tag) : { digest: parseDigest(digest) },
    }
  }

  /**
   * The images that a pattern stands for; globs of tags need the list of the upstream's tags
   *
   * @throws OciError NAME_UNKNOWN where there is no such repository
   */
  async *images(pattern: ImagePattern, { signal }: { signal: AbortSignal }): AsyncGenerator<NamedImage> {
    for await (const { name, remote } of this.#repositories(pattern)) {
      const repository = this.#components.mirrors.repository(name)
      if (repository !== undefined) {
        for await (const reference of this.#references(pattern, { name, remote }, signal)) {
          const image = formatImageName({ host: undefined, repository: repository.name, reference })
          yield { name: image, upstream: pattern.upstream, repository, reference }
        }
      }
    }
  }

  async *#repositories({ repository, upstream }: ImagePattern): AsyncGenerator<{ name: string; remote: string }> {
    const { index, mirrors } = this.#components
    if (!isGlob(repository)) {
      const name = mirrors.nameBelow(upstream.name, repository)
      yield { name, remote: mirrors.find(name)!.repository }
      return
    }
    const matches = globMatcher([repository])
    // what takes hours must not keep a look-up open
    for (const name of await Array.fromAsync(index.repositories(everything))) {
      const found = mirrors.find(name)
      if (found?.upstream === upstream && matches(found.repository) && upstream.mirrors(found.repository)) {
        yield { name, remote: found.repository }
      }
    }
  }

  async *#references(
    { reference, repository, upstream }: ImagePattern,
    { name, remote }: { name: string; remote: string },
    signal: AbortSignal,
  ): AsyncGenerator<Reference> {
    if (reference === undefined && isGlob(repository)) {
      for (const { tag } of await Array.fromAsync(this.#components.index.tags(name, everything))) {
        yield { tag }
      }
    } else if (reference !== undefined && 'tags' in reference) {
      const tags = await translateErrors(async () => await upstream.tags(remote, { signal }))
      if (tags === undefined) {
        throw new OciError('NAME_UNKNOWN', { detail: { reason: `${upstream.name} has no repository ${remote}` } })
      }
      const matches = globMatcher([reference.tags])
      yield* tags.filter(matches).map(tag => ({ tag }))
    } else {
      yield reference ?? { tag: 'latest' }
    }
  }
}

function isGlob(text: string): boolean {
  return globCharacter.test(text)
}

function readTag(text: string | undefined): ImagePattern['reference'] {
  if (text === undefined) {
    return undefined
  }
  return isGlob(text) && text.length <= maxTagLength ? { tags: text } : { tag: parseTag(text) }
}
