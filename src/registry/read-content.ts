import { createHash } from 'node:crypto'
import type { ContentStore } from '../ipfs/content-store.ts'
import { originOf } from '../ipfs/blocks/block-origins.ts'
import { DamagedBlockError, isMissingOrDamaged } from '../ipfs/errors.ts'
import { digestFrom, type Digest, type DigestAlgorithm } from '../oci/digest.ts'
import type { ByteRange } from '../oci/range.ts'
import { DigestCheck, type ExpectedDigest } from './digest-check.ts'
import { toOciError } from './errors.ts'
import type { ReadBlobOptions, RequestOptions } from './repository.ts'

export interface ReadContentOptions extends RequestOptions, Partial<ByteRange> {
  /** Called where a block is missing or damaged */
  onDamage?: (() => void) | undefined
  /** Told of each chunk where its bytes come from */
  onSource?: ReadBlobOptions['onSource']
  /** Called when reading begins; the result is disposed of when it ends */
  hold?: (() => Disposable) | undefined
  /**
   * Compares the bytes with a digest; only for a whole file. The last bytes come only if they match, so that a client
   * never gets a wrong file complete.
   */
  verify?: ExpectedDigest | undefined
}

/**
 * Reads a file of known size, or a range within it. It never yields more bytes than that; where there are fewer, it
 * throws. This is the only iterator of the registry around the body of a pull.
 *
 * @throws OciError UNAVAILABLE where a block is missing or damaged, or the bytes do not match the digest
 */
export async function* readContent(
  content: Pick<ContentStore, 'read'>,
  { cid, size }: { cid: string; size: number },
  options: ReadContentOptions = {},
): AsyncGenerator<Uint8Array> {
  const { start = 0, end = size - 1, hold, onDamage, onSource, verify } = options
  using check = verify === undefined ? undefined : new DigestCheck(verify, size)
  using _held = hold?.()
  let left = end - start + 1
  try {
    for await (const chunk of content.read(cid, options)) {
      left -= chunk.byteLength
      if (left < 0) {
        break
      }
      if (check !== undefined) {
        await check.add(chunk)
        if (left === 0 && chunk.byteLength > 0) {
          await check.requireMatch()
        }
      }
      onSource?.(originOf(chunk) ?? 'disk', chunk.byteLength)
      yield chunk
    }
    if (left !== 0) {
      throw new DamagedBlockError(`the file ${cid} does not have ${size} bytes`)
    }
    if (size === 0) {
      await check?.requireMatch()
    }
  } catch (err) {
    if (isMissingOrDamaged(err)) {
      onDamage?.()
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
