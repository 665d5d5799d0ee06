/**
 * All tags of this registry as one directory, published under its IPNS name:
 *
 * ```
 * <root>/cids/<repository>/<tag>     a file that holds the CID of the image root: what resolvers read
 * <root>/images/<repository>/<tag>   the image root itself: what a gateway shows
 * ```
 *
 * Where the tag `b` of the repository `a` and the repository `a/b` want the same place, the repository has it.
 */
import type { Content, ContentStore, DirectoryEntry } from '../../ipfs/content-store.ts'
import type { Index } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import { isDamage } from '../errors.ts'
import type { IndexCondition } from '../index-condition.ts'
import type { TagListener } from './tag-listener.ts'
import { everything } from '../../oci/pagination.ts'
import type { RootProvider } from '../root-provider.ts'

export interface PublisherComponents {
  /** While the index does not know all that it should, what was published before stays */
  condition: Pick<IndexCondition, 'isWhole' | 'requireWhole'>
  content: Pick<ContentStore, 'add' | 'addDirectory' | 'find' | 'sync'>
  index: Pick<Index, 'change' | 'manifest' | 'published' | 'repositories' | 'tags'>
  names: { publish: (cid: string) => Promise<{ name: string; sequence: number }> }
  /** Tells other nodes that the directory is here */
  provider?: RootProvider | undefined
  log: Logger
}

export interface PublisherInit {
  /** Whether changes are published as they come; else only by {@link Publisher.publish} */
  automatic: boolean
  /**
   * Changes are waited for this long, so that one publication serves those that come together; milliseconds
   *
   * @default 500
   */
  delay?: number
  /**
   * The least time between two publications, and the longest that a change waits while others come; milliseconds
   *
   * @default 3000
   */
  interval?: number
}

interface Pair {
  cids: Content
  images: Content
}

/** A part of a repository's name: what has not changed since it was stored is not looked at again */
interface Node {
  children: Map<string, Node>
  /** Of the tags, by image root, as they were stored last */
  tags: Map<string, Pair>
  /** Undefined where something below has changed since */
  stored?: Pair | undefined
}

const maxRetry = 5 * 60_000
/** A large registry spends at most this part of its time on publishing */
const maxShare = 0.1

export class Publisher implements TagListener {
  readonly #components: PublisherComponents
  readonly #automatic: boolean
  readonly #delay: number
  readonly #interval: number
  #changed = new Set<string>()
  /** Undefined: everything is to be looked at */
  #tree: Node | undefined
  #timer: NodeJS.Timeout | undefined
  #firstChange = 0
  #earliest = 0
  #failures = 0
  #stopped = new AbortController()
  #running: Promise<unknown> = Promise.resolve()
  /** Blocks are being stored that no directory in the index leads to yet */
  #storing: Promise<unknown> = Promise.resolve()

  constructor(components: PublisherComponents, init: PublisherInit) {
    this.#components = components
    this.#automatic = init.automatic
    this.#delay = init.delay ?? 500
    this.#interval = init.interval ?? 3000
  }

  async start(): Promise<void> {
    this.#stopped = new AbortController()
    // a registry that never had a tag gets no name yet
    if (
      (await this.#components.index.published()) !== undefined ||
      (await Array.fromAsync(this.#components.index.repositories({ limit: 1, last: undefined }))).length > 0
    ) {
      this.#schedule()
    }
  }

  /** Cuts a publication short: the next start does it again */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error('The server stops'))
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#running
  }

  tagged(repository: string): void {
    this.#changed.add(repository)
    this.#schedule()
  }

  /** Publishes in a while, where changes are published as they come */
  refresh(): void {
    this.#schedule()
  }

  /**
   * Publishes all tags as they are now
   *
   * @throws OciError UNAVAILABLE where the index was lost
   */
  async publish(): Promise<{ name: string; cid: string }> {
    this.#components.condition.requireWhole()
    const work = this.#running.then(async () => await this.#publish())
    this.#running = work.catch(() => {})
    return await work
  }

  /** Stores the directory of all tags anew, for what is missing of it; publishes nothing */
  async rebuild(): Promise<void> {
    const work = this.#running.then(async () => {
      this.#tree = undefined
      const stored = this.#storeAndIndex()
      this.#storing = stored.catch(() => {})
      await stored
    })
    this.#running = work.catch(() => {})
    await work
  }

  /** Resolves when everything that is being stored now is in the index, or given up */
  async settled(): Promise<void> {
    await this.#storing
  }

  #schedule(): void {
    if (!this.#automatic || !this.#components.condition.isWhole || this.#stopped.signal.aborted) {
      return
    }
    const now = performance.now()
    if (this.#timer === undefined) {
      this.#firstChange = now
    }
    clearTimeout(this.#timer)
    const due = Math.max(Math.min(now + this.#delay, this.#firstChange + this.#interval), this.#earliest)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.publish().catch((err: unknown) => {
        if (!this.#stopped.signal.aborted) {
          this.#components.log.error('tags not published', { err })
          this.#schedule()
        }
      })
    }, due - now)
  }

  async #publish(): Promise<{ name: string; cid: string }> {
    const { log, names, provider } = this.#components
    const began = performance.now()
    try {
      const stored = this.#storeAndIndex()
      this.#storing = stored.catch(() => {})
      const cid = await stored
      const { name, sequence } = await names.publish(cid)
      provider?.provide(cid)
      const ms = Math.round(performance.now() - began)
      this.#failures = 0
      this.#earliest = performance.now() + Math.max(this.#interval, ms / maxShare)
      log.debug('tags published', { name, cid, sequence, ms })
      return { name, cid }
    } catch (err) {
      // what was stored but is in no published directory may be collected as garbage
      this.#tree = undefined
      this.#earliest = performance.now() + Math.min(this.#interval * 2 ** this.#failures++, maxRetry)
      throw err
    }
  }

  async #storeAndIndex(): Promise<string> {
    const { content, index } = this.#components
    const before = (await index.published())?.root
    const cid = await this.#store()
    if (cid !== before) {
      await content.sync()
      await index.change().putPublished({ root: cid }).commit({ durable: true })
    }
    return cid
  }

  /** @returns the CID of the directory of all tags */
  async #store(): Promise<string> {
    const changed = this.#changed
    this.#changed = new Set()
    if (this.#tree === undefined) {
      this.#tree = emptyNode()
      for await (const repository of this.#components.index.repositories(everything)) {
        this.#stopped.signal.throwIfAborted()
        mark(this.#tree, repository)
      }
    }
    changed.forEach(repository => {
      mark(this.#tree!, repository)
    })
    const { content } = this.#components
    const { cids, images } = (await this.#storeNode(this.#tree, '')) ?? {
      cids: await content.addDirectory([]),
      images: await content.addDirectory([]),
    }
    return (
      await content.addDirectory([
        { name: 'cids', content: cids },
        { name: 'images', content: images },
      ])
    ).cid
  }

  /** @returns undefined where there is no tag in it */
  async #storeNode(node: Node, path: string): Promise<Pair | undefined> {
    if (node.stored !== undefined) {
      return node.stored
    }
    this.#stopped.signal.throwIfAborted()
    const entries = await this.#tags(node, path)
    for (const [name, child] of node.children) {
      const stored = await this.#storeNode(child, path === '' ? name : `${path}/${name}`)
      if (stored === undefined) {
        node.children.delete(name)
        continue
      }
      if (entries.has(name)) {
        this.#components.log.warn('tag not published: a repository is in its place', { repository: path, tag: name })
      }
      entries.set(name, stored)
    }
    if (entries.size > 0) {
      node.stored = { cids: await this.#directory(entries, 'cids'), images: await this.#directory(entries, 'images') }
    }
    return node.stored
  }

  async #tags(node: Node, repository: string): Promise<Map<string, Pair>> {
    const { index } = this.#components
    const entries = new Map<string, Pair>()
    const known = node.tags
    node.tags = new Map()
    if (repository !== '') {
      for await (const { tag, record } of index.tags(repository, everything)) {
        this.#stopped.signal.throwIfAborted()
        const root = (await index.manifest(repository, record.digest))?.root
        if (root !== undefined) {
          const pair = known.get(root) ?? node.tags.get(root) ?? (await this.#tag(root))
          node.tags.set(root, pair)
          entries.set(tag, pair)
        }
      }
    }
    return entries
  }

  async #tag(root: string): Promise<Pair> {
    const { content, log } = this.#components
    const found = await content.find(root, []).catch((err: unknown) => {
      // the tags of others go on being published
      if (!isDamage(err) && (err as Error).name !== 'RefusedDagError') {
        throw err
      }
      log.warn('an image root is missing or damaged', { cid: root, err })
    })
    return {
      cids: await content.add(new TextEncoder().encode(root)),
      images: { cid: root, size: 0, dagSize: found?.claimedDagSize ?? 0 },
    }
  }

  async #directory(entries: ReadonlyMap<string, Pair>, kind: keyof Pair): Promise<Content> {
    return await this.#components.content.addDirectory(
      Array.from(entries, ([name, pair]): DirectoryEntry => ({ name, content: pair[kind] })),
      { signal: this.#stopped.signal },
    )
  }
}

function emptyNode(): Node {
  return { children: new Map(), tags: new Map() }
}

/** Notes that a repository has changed, and all that it is part of */
function mark(tree: Node, repository: string): void {
  let node = tree
  node.stored = undefined
  for (const name of repository.split('/')) {
    const child: Node = node.children.get(name) ?? emptyNode()
    node.children.set(name, child)
    child.stored = undefined
    node = child
  }
}
