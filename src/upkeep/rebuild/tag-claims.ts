import type { ContentReader } from '../../ipfs/content-store.ts'
import type { CidStore } from '../../registry/tags/cid-store.ts'
import { publishedTags } from '../../registry/tags/published-tags.ts'

/** A tag and its image root, as they were noted outside of the index */
export interface Claim {
  repository: string
  tag: string
  /** Reads the CID of the image root; undefined where the tag was deleted meanwhile */
  root: () => Promise<string | undefined>
}

/**
 * The tags that the index had, those of a repository together. The CID store is up to date, so its tags count. Tags
 * that were published count only where the CID store had no place for them, or has no tag at all.
 *
 * @param published root of the directory that was published last
 */
export async function* claims(
  cidStore: Pick<CidStore, 'list' | 'read'>,
  reader: ContentReader,
  published: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Claim> {
  let isEmpty = true
  for await (const { repository, tag } of cidStore.list()) {
    isEmpty = false
    yield { repository, tag, root: async () => (await cidStore.read(repository, tag)).root }
  }
  if (published === undefined) {
    return
  }
  for await (const { repository, tag, root } of publishedTags(reader, published, { signal })) {
    if (isEmpty || (await cidStore.read(repository, tag)).clash) {
      yield { repository, tag, root: async () => root }
    }
  }
}
