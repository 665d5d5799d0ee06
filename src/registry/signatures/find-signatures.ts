import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { FoundManifest, RequestOptions } from '../repository.ts'
import type { SignatureSource } from './read-signature.ts'
import { attachedTag } from './formats/signature-format.ts'

/**
 * Referrers of one type that are looked at; what lies after them does not count. Many, as whoever may push can put as
 * many as he likes before the one that counts.
 */
const maxReferrers = 1000
const pageSize = 100

export interface FoundSignature {
  digest: Digest
  /** The tag by which it is attached; undefined: it names the image as its subject */
  tag: string | undefined
  read: () => Promise<FoundManifest>
}

/**
 * What may be a signature of an image, however it is attached
 *
 * @param types of referrers
 */
export async function* findSignatures(
  source: SignatureSource,
  image: Digest,
  types: readonly string[],
  options: RequestOptions,
): AsyncGenerator<FoundSignature> {
  const tag = attachedTag(image, 'sig')
  const tagged = await orUnknown(async () => await source.manifest({ tag }, options))
  if (tagged !== undefined) {
    yield { digest: tagged.digest, tag, read: async () => tagged }
  }
  for (const type of types) {
    let last: Digest | undefined
    for (let looked = 0; looked < maxReferrers; looked += pageSize) {
      const page = { limit: pageSize, last }
      const found = await orUnknown(async () => await source.referrers(image, page, type, options))
      for (const { digest } of found?.items ?? []) {
        yield { digest, tag: undefined, read: async () => await source.manifest({ digest }, options) }
      }
      if (found?.more !== true) {
        break
      }
      last = found.items.at(-1)?.digest
    }
  }
}

/** @returns undefined where there is no such thing */
export async function orUnknown<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look()
  } catch (err) {
    if (err instanceof OciError && (err.code === 'MANIFEST_UNKNOWN' || err.code === 'NAME_UNKNOWN')) {
      return undefined
    }
    throw err
  }
}
