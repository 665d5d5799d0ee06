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
import type { CID } from 'multiformats/cid'
import { blockKey, BlockSet } from '../../ipfs/blocks/block-set.ts'
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

/** What was stored of the directory, and what it was stored for */
interface Tree extends StoreOptions {
  top: Node
  blocks: BlockSet | undefined
}

export interface StoreOptions {
  /** Whether a tag, or any tag of a repository, gets into the directory; asked once before it is stored */
  isPublic: (repository: string, tag?: string) => boolean
  /** Whether anybody will ask which blocks the directory has */
  notesBlocks: boolean
}

export interface StoredDirectory {
  cid: string
  /** Its blocks, and those of what it was before, without those of the images; undefined where they are not noted */
  blocks: BlockSet | undefined
  isEmpty: boolean
}

/** Stores the directory of all tags, and only the changed parts of it the next time */
export class PublishedDirectory {
  readonly #components: PublishedDirectoryComponents
  /** Undefined: all repositories have to be looked at */
  #tree: Tree | undefined

  constructor(components: PublishedDirectoryComponents) {
    this.#components = components
  }

  /** Has the whole directory stored again the next time, as where other tags are public than before */
  reset(): void {
    this.#tree = undefined
  }

  /**
   * @param changed repositories whose tags have changed since the last call
   * @param options count for what is stored from the first call on, and from the first after {@link reset}
   */
  async store(changed: ReadonlySet<string>, options: StoreOptions, signal: AbortSignal): Promise<StoredDirectory> {
    const { content } = this.#components
    const tree = this.#tree ?? (await this.#newTree(options, signal))
    this.#tree = tree
    for (const repository of changed) {
      markChanged(tree.top, repository)
    }
    const stored = await this.#storeNode(tree.top, '', tree, signal)
    const noting = notingIn(tree)
    const { cids, images } = stored ?? {
      cids: await content.addDirectory([], noting),
      images: await content.addDirectory([], noting),
    }
    const root = await content.addDirectory(
      [
        { name: 'cids', content: cids },
        { name: 'images', content: images },
      ],
      noting,
    )
    return { cid: root.cid, blocks: tree.blocks, isEmpty: stored === undefined }
  }

  async #newTree(options: StoreOptions, signal: AbortSignal): Promise<Tree> {
    const tree: Tree = { ...options, top: emptyNode(), blocks: options.notesBlocks ? new BlockSet() : undefined }
    for await (const repository of this.#components.index.repositories(everything)) {
      signal.throwIfAborted()
      markChanged(tree.top, repository)
    }
    return tree
  }

  /** @returns undefined where there is no tag below the node */
  async #storeNode(node: Node, path: string, tree: Tree, signal: AbortSignal): Promise<Pair | undefined> {
    if (node.stored !== undefined) {
      return node.stored
    }
    signal.throwIfAborted()
    const entries = await this.#storeTags(node, path, tree, signal)
    for (const [name, child] of node.children) {
      const stored = await this.#storeNode(child, path === '' ? name : `${path}/${name}`, tree, signal)
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
        cids: await this.#addDirectory(entries, 'cids', tree, signal),
        images: await this.#addDirectory(entries, 'images', tree, signal),
      }
    }
    return node.stored
  }

  async #storeTags(node: Node, repository: string, tree: Tree, signal: AbortSignal): Promise<Map<string, Pair>> {
    const { index } = this.#components
    const entries = new Map<string, Pair>()
    const known = node.tags
    node.tags = new Map()
    if (repository === '' || !tree.isPublic(repository)) {
      return entries
    }
    for await (const { tag, record } of index.tags(repository, everything)) {
      signal.throwIfAborted()
      if (!tree.isPublic(repository, tag)) {
        continue
      }
      const root = (await index.manifest(repository, record.digest))?.root
      if (root !== undefined) {
        const pair = known.get(root) ?? node.tags.get(root) ?? (await this.#storeTag(root, tree))
        node.tags.set(root, pair)
        entries.set(tag, pair)
      }
    }
    return entries
  }

  async #storeTag(root: string, tree: Tree): Promise<Pair> {
    const { content, log } = this.#components
    const found = await content.find(root, []).catch((err: unknown) => {
      if (!isUnreadable(err)) {
        throw err
      }
      // one damaged image must not keep the tags of the others from being published
      log.warn('an image root is missing or damaged', { cid: root, err })
    })
    return {
      cids: await content.add(new TextEncoder().encode(root), notingIn(tree)),
      images: { cid: root, size: 0, dagSize: found?.claimedDagSize ?? 0 },
    }
  }

  async #addDirectory(
    entries: ReadonlyMap<string, Pair>,
    kind: keyof Pair,
    tree: Tree,
    signal: AbortSignal,
  ): Promise<Content> {
    return await this.#components.content.addDirectory(
      Array.from(entries, ([name, pair]): DirectoryEntry => ({ name, content: pair[kind] })),
      { signal, ...notingIn(tree) },
    )
  }
}

/** Notes each block that is stored for the directory */
function notingIn({ blocks }: Tree): { onBlock: (cid: CID) => void } {
  return {
    onBlock: cid => {
      blocks?.add(blockKey(cid.multihash.digest))
    },
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
