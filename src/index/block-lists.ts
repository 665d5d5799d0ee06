import type { Digest } from '../oci/digest.ts'
import { decodeValue } from './json-value.ts'
import { keys, shortKey, shortKeyBytes } from './keys.ts'
import type { Operation } from './index-writer.ts'
import type { Level } from './level-scan.ts'

/** A blob or a manifest whose blocks are recorded */
interface Owner {
  /** Key of its record */
  record: string
  /** Key of the list of its blocks */
  list: string
  /** Key that tells that a block is one of it */
  owner: (block: string) => string
}

/** A list is replaced, deleted with its record, or kept only where the record has the same content as before */
type Next = { blocks: Uint8Array } | { deleted: true } | { unless: (record: Content) => boolean }

/** What tells which blocks there are */
interface Content {
  cid: string
  root?: string
}

const none = new Uint8Array()

/**
 * The part of a change that records which blocks blobs and manifests have, both ways: a list for each of them, by which
 * what was recorded can be deleted again, and a key for each block, by which it is looked up
 */
export class BlockLists {
  readonly #next = new Map<string, Owner & { next: Next }>()

  put(owner: Owner, blocks: Uint8Array): void {
    this.#next.set(owner.list, { ...owner, next: { blocks } })
  }

  delete(owner: Owner): void {
    this.#next.set(owner.list, { ...owner, next: { deleted: true } })
  }

  /** To be called where a record is written whose list may be another one's */
  putRecord(owner: Owner, { cid, root }: Content): void {
    const before = this.#next.get(owner.list)
    if (before === undefined || !('blocks' in before.next)) {
      const unless = (old: Content): boolean => old.cid === cid && old.root === root
      this.#next.set(owner.list, { ...owner, next: { unless } })
    }
  }

  /** The operations for it, by what the index has now */
  async operations(db: Pick<Level, 'get'>): Promise<Operation[]> {
    const operations: Operation[] = []
    for (const { list, next, owner, record } of this.#next.values()) {
      const before = await db.get(list)
      const after = await listAfter(db, record, before, next)
      if (after !== before && !(after !== undefined && before !== undefined && Buffer.compare(after, before) === 0)) {
        operations.push(...difference(before ?? none, after ?? none, owner))
        operations.push(after === undefined ? { type: 'del', key: list } : { type: 'put', key: list, value: after })
      }
    }
    return operations
  }
}

/** @returns undefined where there is to be no list */
async function listAfter(
  db: Pick<Level, 'get'>,
  record: string,
  before: Uint8Array | undefined,
  next: Next,
): Promise<Uint8Array | undefined> {
  if ('blocks' in next) {
    return next.blocks
  }
  if ('deleted' in next || before === undefined) {
    return undefined
  }
  const value = await db.get(record)
  return value !== undefined && next.unless(decodeValue<Content>(value)) ? before : undefined
}

function difference(before: Uint8Array, after: Uint8Array, owner: Owner['owner']): Operation[] {
  const [old, kept] = [shortKeysOf(before), shortKeysOf(after)]
  return [
    ...Array.from(old.difference(kept), (block): Operation => ({ type: 'del', key: owner(block) })),
    ...Array.from(kept.difference(old), (block): Operation => ({ type: 'put', key: owner(block), value: none })),
  ]
}

/** The short key of each block of a list */
export function shortKeysOf(blocks: Uint8Array): Set<string> {
  const found = new Set<string>()
  for (let at = 0; at < blocks.byteLength; at += shortKeyBytes) {
    found.add(shortKey(blocks.subarray(at, at + shortKeyBytes)))
  }
  return found
}

export function blobOwner(digest: Digest): Owner {
  const blob = shortKey(digest)
  return { record: keys.blob(digest), list: keys.blobBlocks(digest), owner: block => keys.ownerBlob(block, blob) }
}

export function manifestOwner(repository: string, digest: Digest): Owner {
  return {
    record: keys.manifest(repository, digest),
    list: keys.manifestBlocks(repository, digest),
    owner: block => keys.ownerManifest(block, repository, digest),
  }
}
