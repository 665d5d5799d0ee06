import type { ContentReader } from '../../ipfs/content-store.ts'
import type { CidStore } from '../../registry/tags/cid-store.ts'
import { publishedTags } from '../../registry/tags/published-tags.ts'

/** That a tag stands for an image, as it was noted outside the index */
export interface Claim {
  repository: string
  tag: string
  /** CID of the image root as it is noted now; undefined where the tag has gone meanwhile */
  root: () => Promise<string | undefined>
}

/**
 * The tags that there were, those of a repository together: what the CID store has, which is up to date, and of what was published last what
 * the CID store had no place for. Only where it has nothing at all does everything count that was published.
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
