import type { Digest } from '../../oci/digest.ts'
import { everything } from '../../oci/pagination.ts'
import type { Index } from '../../index/index.ts'

/** @returns the CID of the image root of a tag; undefined where there is no such tag */
export async function rootOfTag(
  index: Pick<Index, 'manifest' | 'tag'>,
  repository: string,
  tag: string,
): Promise<string | undefined> {
  const record = await index.tag(repository, tag)
  return record === undefined ? undefined : (await index.manifest(repository, record.digest))?.root
}

/** The tags that point at a manifest */
export async function tagsOf(index: Pick<Index, 'tags'>, repository: string, digest: Digest): Promise<string[]> {
  const tags = await Array.fromAsync(index.tags(repository, everything))
  return tags.filter(({ record }) => record.digest === digest).map(({ tag }) => tag)
}
