import type { ContentReader } from '../ipfs/content-store.ts'
import type { RequestOptions } from './repository.ts'
import { readWhole } from './read-content.ts'

/** More than any CID has */
const maxBytes = 1024

/**
 * The image roots that a published directory links to. What of the directory can't be read is passed over.
 *
 * @param root of the directory that publisher.ts makes
 */
export async function publishedImages (content: Pick<ContentReader, 'find' | 'list' | 'read'>, root: string, options: RequestOptions): Promise<Set<string>> {
  const roots = new Set<string>()
  const left = [await orMissing(content.find(root, ['cids'], options))]
  for (let found = left.pop(); found !== undefined; found = left.pop()) {
    if (found.type === 'file' && found.size <= maxBytes) {
      roots.add(new TextDecoder().decode(await readWhole(content, found, options)))
    } else if (found.type === 'directory') {
      for (const { cid } of await orMissing(Array.fromAsync(content.list(found.cid, options))) ?? []) {
        const child = await orMissing(content.find(cid, [], options))
        if (child !== undefined) {
          left.push(child)
        }
      }
    }
  }
  return roots
}

async function orMissing<T> (reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (err) {
    if ((err as Error).name !== 'NotFoundError') {
      throw err
    }
    return undefined
  }
}
