import { createHash } from 'node:crypto'
import type { ContentStore } from '../ipfs/content-store.ts'
import { DamagedBlockError } from '../ipfs/errors.ts'
import { digestFrom, type Digest, type DigestAlgorithm } from '../oci/digest.ts'
import type { ByteRange } from '../oci/range.ts'
import { isDamage, toOciError } from './errors.ts'
import type { RequestOptions } from './repository.ts'

export interface ReadContentOptions extends RequestOptions, Partial<ByteRange> {
  /** Called where a block is missing or damaged */
  onDamage?: (() => void) | undefined
}

/**
 * Reads a file of which the size is known, or a range of it that lies within. What it yields is never longer than that; where it is shorter,
 * an error follows.
 *
 * @throws OciError UNAVAILABLE where a block is missing or damaged
 */
export async function* readContent(
  content: Pick<ContentStore, 'read'>,
  { cid, size }: { cid: string; size: number },
  options: ReadContentOptions = {},
): AsyncGenerator<Uint8Array> {
  const { start = 0, end = size - 1 } = options
  let left = end - start + 1
  try {
    for await (const chunk of content.read(cid, options)) {
      left -= chunk.byteLength
      if (left < 0) {
        break
      }
      yield chunk
    }
    if (left !== 0) {
      throw new DamagedBlockError(`the file ${cid} has not ${size} bytes`)
    }
  } catch (err) {
    if (isDamage(err)) {
      options.onDamage?.()
    }
    throw toOciError(err)
  }
}

/** Reads a file that fits into memory; throws as {@link readContent} */
export async function readWhole(...args: Parameters<typeof readContent>): Promise<Uint8Array> {
  const bytes = new Uint8Array(args[1].size)
  let filled = 0
  for await (const chunk of readContent(...args)) {
    bytes.set(chunk, filled)
    filled += chunk.byteLength
  }
  return bytes
}

/** Hashes a whole file; throws what {@link ContentStore.read} throws */
export async function digestOfContent(
  content: Pick<ContentStore, 'read'>,
  cid: string,
  algorithm: DigestAlgorithm,
  options: RequestOptions,
): Promise<Digest> {
  const hash = createHash(algorithm)
  for await (const chunk of content.read(cid, options)) {
    hash.update(chunk)
  }
  return digestFrom(algorithm, hash.digest('hex'))
}
