/**
 * Reads a directory of tags that this registry or another one has published: see published-directory.ts for its layout
 */
import type { ContentReader } from '../../ipfs/content-store.ts'
import { maxCidFileBytes } from './cid-store.ts'
import { isUnreadable } from '../../ipfs/errors.ts'
import { OciError } from '../../oci/errors.ts'
import type { RequestOptions } from '../repository.ts'
import { readWhole } from '../read-content.ts'

export interface PublishedTag {
  repository: string
  tag: string
  /** CID of the image root */
  root: string
}

/** The image roots to which the tags in a published directory lead; as {@link publishedTags} */
export async function publishedImages(
  content: Pick<ContentReader, 'find' | 'list' | 'read'>,
  root: string,
  options: RequestOptions,
): Promise<Set<string>> {
  const roots = new Set<string>()
  for await (const tag of publishedTags(content, root, options)) {
    roots.add(tag.root)
  }
  return roots
}

/**
 * The tags in a published directory, those of a repository together. It skips what is missing, damaged or refused.
 *
 * @param root CID of the directory
 */
export async function* publishedTags(
  content: Pick<ContentReader, 'find' | 'list' | 'read'>,
  root: string,
  options: RequestOptions,
): AsyncGenerator<PublishedTag> {
  const top = await ifReadable(content.find(root, ['cids'], options))
  const left = top?.type === 'directory' ? [{ repository: '', cid: top.cid }] : []
  for (let directory = left.pop(); directory !== undefined; directory = left.pop()) {
    const { repository } = directory
    const entries = (await ifReadable(Array.fromAsync(content.list(directory.cid, options)))) ?? []
    for (const { name, cid } of entries) {
      const found = await ifReadable(content.find(cid, [], options))
      if (found?.type === 'file' && found.size <= maxCidFileBytes) {
        const text = await ifReadable(readWhole(content, found, options))
        if (text !== undefined) {
          yield { repository, tag: name, root: new TextDecoder().decode(text) }
        }
      } else if (found?.type === 'directory') {
        left.push({ repository: repository === '' ? name : `${repository}/${name}`, cid })
      }
    }
  }
}

/** @returns undefined where what is read is missing, damaged or refused */
async function ifReadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (err) {
    // readWhole throws it translated
    if (!isUnreadable(err) && !(err instanceof OciError)) {
      throw err
    }
    return undefined
  }
}
