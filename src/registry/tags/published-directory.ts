/**
 * All tags of this registry as one directory in IPFS, which is published under the registry's IPNS name:
 *
 * ```
 * <root>/cids/<repository>/<tag>     a file that holds the CID of the image root: what resolvers read
 * <root>/images/<repository>/<tag>   the image root itself: what a gateway shows
 * ```
 *
 * The tag `b` of the repository `a` and the repository `a/b` want the same place: the repository gets it.
 */
import type { Content, ContentStore, DirectoryEntry } from '../../ipfs/content-store.ts'
import { isUnreadable } from '../../ipfs/errors.ts'
import type { Index } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import { everything } from '../../oci/pagination.ts'

export interface PublishedDirectoryComponents {
  content: Pick<ContentStore, 'add' | 'addDirectory' | 'find'>
  index: Pick<Index, 'manifest' | 'repositories' | 'tags'>
  log: Logger
}

/** The same place below `cids` and below `images` */
interface Pair {
  cids: Content
  images: Content
}

/** A part of a repository name. What has not changed since it was stored is not looked at again. */
interface Node {
  children: Map<string, Node>
  /** What was stored last for its tags, by image root */
  tags: Map<string, Pair>
  /** Undefined where something below has changed since */
  stored?: Pair | undefined
}

/** Stores the directory of all tags, and only the changed parts of it the next time */
export class PublishedDirectory {
  readonly #components: PublishedDirectoryComponents
  /** Undefined: all repositories have to be looked at */
  #tree: Node | undefined

  constructor(components: PublishedDirectoryComponents) {
    this.#components = components
  }

  /** Has the whole directory stored again the next time */
  reset(): void {
    this.#tree = undefined
  }

  /**
   * @param changed repositories whose tags have changed since the last call
   * @returns the CID of the directory
   */
  async store(changed: ReadonlySet<string>, signal: AbortSignal): Promise<string> {
    const { content, index } = this.#components
    if (this.#tree === undefined) {
      this.#tree = emptyNode()
      for await (const repository of index.repositories(everything)) {
        signal.throwIfAborted()
        markChanged(this.#tree, repository)
      }
    }
    for (const repository of changed) {
      markChanged(this.#tree, repository)
    }
    const { cids, images } = (await this.#storeNode(this.#tree, '', signal)) ?? {
      cids: await content.addDirectory([]),
      images: await content.addDirectory([]),
    }
    const root = await content.addDirectory([
      { name: 'cids', content: cids },
      { name: 'images', content: images },
    ])
    return root.cid
  }

  /** @returns undefined where there is no tag below the node */
  async #storeNode(node: Node, path: string, signal: AbortSignal): Promise<Pair | undefined> {
    if (node.stored !== undefined) {
      return node.stored
    }
    signal.throwIfAborted()
    const entries = await this.#storeTags(node, path, signal)
    for (const [name, child] of node.children) {
      const stored = await this.#storeNode(child, path === '' ? name : `${path}/${name}`, signal)
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
      node.stored = {
        cids: await this.#addDirectory(entries, 'cids', signal),
        images: await this.#addDirectory(entries, 'images', signal),
      }
    }
    return node.stored
  }

  async #storeTags(node: Node, repository: string, signal: AbortSignal): Promise<Map<string, Pair>> {
    const { index } = this.#components
    const entries = new Map<string, Pair>()
    const known = node.tags
    node.tags = new Map()
    if (repository === '') {
      return entries
    }
    for await (const { tag, record } of index.tags(repository, everything)) {
      signal.throwIfAborted()
      const root = (await index.manifest(repository, record.digest))?.root
      if (root !== undefined) {
        const pair = known.get(root) ?? node.tags.get(root) ?? (await this.#storeTag(root))
        node.tags.set(root, pair)
        entries.set(tag, pair)
      }
    }
    return entries
  }

  async #storeTag(root: string): Promise<Pair> {
    const { content, log } = this.#components
    const found = await content.find(root, []).catch((err: unknown) => {
      if (!isUnreadable(err)) {
        throw err
      }
      // one damaged image must not keep the tags of the others from being published
      log.warn('an image root is missing or damaged', { cid: root, err })
    })
    return {
      cids: await content.add(new TextEncoder().encode(root)),
      images: { cid: root, size: 0, dagSize: found?.claimedDagSize ?? 0 },
    }
  }

  async #addDirectory(entries: ReadonlyMap<string, Pair>, kind: keyof Pair, signal: AbortSignal): Promise<Content> {
    return await this.#components.content.addDirectory(
      Array.from(entries, ([name, pair]): DirectoryEntry => ({ name, content: pair[kind] })),
      { signal },
    )
  }
}

function emptyNode(): Node {
  return { children: new Map(), tags: new Map() }
}

/** Marks a repository as changed, and every part of its name */
function markChanged(tree: Node, repository: string): void {
  let node = tree
  node.stored = undefined
  for (const name of repository.split('/')) {
    const child: Node = node.children.get(name) ?? emptyNode()
    node.children.set(name, child)
    child.stored = undefined
    node = child
  }
}
