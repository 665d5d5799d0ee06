import type { ContentReader } from '../../ipfs/content-store.ts'
import type { RequestOptions } from '../repository.ts'
import { readWhole } from '../read-content.ts'

/** More than any CID has */
const maxBytes = 1024

const passedOver = new Set(['NotFoundError', 'DamagedBlockError', 'RefusedDagError', 'OciError'])

/** A tag as a published directory has it */
export interface PublishedTag {
  repository: string
  tag: string
  /** CID of the image root */
  root: string
}

/**
 * The image roots that a published directory links to. What of the directory can't be read is passed over.
 *
 * @param root of the directory that publisher.ts makes
 */
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

/** The tags in a published directory, those of a repository together; as {@link publishedImages} */
export async function* publishedTags(
  content: Pick<ContentReader, 'find' | 'list' | 'read'>,
  root: string,
  options: RequestOptions,
): AsyncGenerator<PublishedTag> {
  const top = await orMissing(content.find(root, ['cids'], options))
  const left = top?.type === 'directory' ? [{ repository: '', cid: top.cid }] : []
  for (let directory = left.pop(); directory !== undefined; directory = left.pop()) {
    const { repository } = directory
    for (const { name, cid } of (await orMissing(Array.fromAsync(content.list(directory.cid, options)))) ?? []) {
      const found = await orMissing(content.find(cid, [], options))
      if (found?.type === 'file' && found.size <= maxBytes) {
        const text = await orMissing(readWhole(content, found, options))
        if (text !== undefined) {
          yield { repository, tag: name, root: new TextDecoder().decode(text) }
        }
      } else if (found?.type === 'directory') {
        left.push({ repository: repository === '' ? name : `${repository}/${name}`, cid })
      }
    }
  }
}

/** @returns undefined where it is not here, damaged or no directory at all */
async function orMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (err) {
    // readWhole translates them
    if (!passedOver.has((err as Error).name)) {
      throw err
    }
    return undefined
  }
}
