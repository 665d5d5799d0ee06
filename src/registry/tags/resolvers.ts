import type { ContentReader } from '../../ipfs/content-store.ts'
import { UnavailableError } from '../../ipfs/errors.ts'
import type { Logger } from '../../log.ts'
import { parseRoot } from '../../oci/cid.ts'
import { ResolverError } from '../errors.ts'
import type { RequestOptions } from '../repository.ts'
import { DirectorySource } from './resolver-directory.ts'
import { IpfsSource } from './resolver-ipfs.ts'
import type { NameResolver, ResolverSource } from './resolver-source.ts'

export interface ResolversComponents {
  content: Pick<ContentReader, 'find' | 'read' | 'list'>
  names: NameResolver
  log: Logger
}

export interface ResolversInit {
  /** `file:<directory>`, `/ipfs/<cid>`, `/ipns/<name>` or a domain. The first one that knows a tag wins. */
  resolvers: readonly string[]
  /**
   * How long each resolver may take to answer; milliseconds
   *
   * @default 30000
   */
  timeout?: number
}

const second = 1000

/**
 * Finds image roots of tags that are not in this registry, by asking the resolvers of the configuration in their order
 */
export class Resolvers {
  readonly #log: Logger
  readonly #sources: ReadonlyArray<{ resolver: string; source: ResolverSource }>
  readonly #timeout: number

  /** @throws ResolverError */
  constructor(components: ResolversComponents, init: ResolversInit) {
    this.#log = components.log
    this.#timeout = init.timeout ?? 30 * second
    this.#sources = init.resolvers.map(resolver => ({ resolver, source: sourceOf(resolver, components) }))
  }

  /**
   * Checks that the directories on disk exist; asks nothing of the network
   *
   * @throws ResolverError
   */
  async check(): Promise<void> {
    for (const { resolver, source } of this.#sources) {
      if (source instanceof DirectorySource && !(await source.exists())) {
        throw new ResolverError(`resolver ${resolver}: no such directory`)
      }
    }
  }

  /**
   * @returns the CID of the root as CIDv1 in base32; undefined where no resolver knows the tag
   * @throws UnavailableError where none knows it and one of them could not be asked
   */
  async resolve(repository: string, tag: string, options: RequestOptions = {}): Promise<string | undefined> {
    const failures: unknown[] = []
    for (const { resolver, source } of this.#sources) {
      const cid = await this.#try(resolver, options, failures, async limited =>
        rootOf(await source.read(repository, tag, limited)),
      )
      if (cid !== undefined) {
        this.#log.debug('tag resolved', { resolver, repository, tag, cid })
        return cid
      }
    }
    if (failures.length > 0) {
      throw new UnavailableError(
        `No resolver knows ${repository}:${tag}, and ${failures.length} of them could not be asked`,
        {
          cause: failures[0],
        },
      )
    }
    return undefined
  }

  /**
   * The tags of the repository that any of the resolvers knows, sorted
   *
   * @throws UnavailableError where there is none and one resolver could not be asked
   */
  async tags(repository: string, options: RequestOptions = {}): Promise<string[]> {
    const failures: unknown[] = []
    const found: string[] = []
    for (const { resolver, source } of this.#sources) {
      found.push(
        ...((await this.#try(resolver, options, failures, async limited => await source.tags(repository, limited))) ??
          []),
      )
    }
    if (found.length === 0 && failures.length > 0) {
      throw new UnavailableError(`No resolver knows ${repository}, and ${failures.length} of them could not be asked`, {
        cause: failures[0],
      })
    }
    return [...new Set(found)].sort()
  }

  /** Asks one resolver. If that fails, the next ones are still asked. */
  async #try<T>(
    resolver: string,
    { signal, client }: RequestOptions,
    failures: unknown[],
    work: (options: RequestOptions) => Promise<T>,
  ): Promise<T | undefined> {
    signal?.throwIfAborted()
    const limit = AbortSignal.timeout(this.#timeout)
    try {
      return await work({ client, signal: signal === undefined ? limit : AbortSignal.any([signal, limit]) })
    } catch (err) {
      signal?.throwIfAborted()
      this.#log.warn('resolver failed', { resolver, err })
      failures.push(err)
      return undefined
    }
  }
}

/** @throws ResolverError */
function sourceOf(resolver: string, { content, names }: ResolversComponents): ResolverSource {
  const directory = /^file:(.+)$/s.exec(resolver)?.[1]
  if (directory !== undefined) {
    // file:///a and file:/a mean the same directory
    return new DirectorySource(directory.replace(/^\/\/(?=\/)/, ''))
  }
  const [first = '', ...path] = resolver
    .replace(/^\/(?=ip[fn]s\/)/, '')
    .split('/')
    .filter(part => part !== '')
  const root =
    first === 'ipfs' || first === 'ipns' ? parseRoot(`/${first}/${path.shift() ?? ''}`) : parseRoot(`/ipns/${first}`)
  if (root === undefined || (first !== 'ipfs' && first !== 'ipns' && root.name?.includes('.') !== true)) {
    throw new ResolverError(`resolver ${resolver}: must be file:<directory>, /ipfs/<cid>, /ipns/<name> or a domain`)
  }
  return new IpfsSource({ content, names }, { ...root, path })
}

/** @throws UnavailableError where the text is not a CID */
function rootOf(text: string | undefined): string | undefined {
  const cid = text === undefined ? undefined : parseRoot(text.trim())?.cid
  if (text !== undefined && cid === undefined) {
    throw new UnavailableError('The resolver has something other than a CID')
  }
  return cid
}
