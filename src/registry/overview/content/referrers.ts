import { OciError } from '../../../oci/errors.ts'
import type { Digest } from '../../../oci/digest.ts'
import { parseStoredManifest } from '../../../oci/manifest/manifest.ts'
import { readDescriptor } from '../../referrer.ts'
import type { FoundManifest, StoredRepository } from '../../repository.ts'
import type { SignatureNote, SignaturePolicy } from '../../signatures/signature-policy.ts'
import { pairsOf, textOf, type Limited, type Pair } from './limited.ts'

/** Of all levels together, and levels: signatures of SBOMs of images have three */
const [maxReferrers, maxDepth] = [100, 4]
/** Bytes of a manifest that is read for what it is */
const maxManifestBytes = 512 * 1024

/** What names a manifest as its subject, or is attached to it by a tag as cosign 2 does */
export interface Referrer {
  digest: Digest
  artifactType: string | undefined
  /** Bytes of its manifest */
  size: number
  annotations: Limited<Pair>
  /** The tag by which it is attached; undefined: it names its subject */
  tag?: string | undefined
  /** Whether it is a signature, or is signed, by a key of the configuration; undefined: it has no signature */
  signature?: SignatureNote | undefined
  /** What names this one as its subject */
  referrers: Referrer[]
}

interface Components {
  /** @default no key is known */
  signatures?: Pick<SignaturePolicy, 'note'> | undefined
}

type Source = Pick<StoredRepository, 'blob' | 'manifest' | 'name' | 'referrers'>

/** Everything that is about a manifest, as a tree; `total` is as many as there are here, or more where it is cut */
export async function readReferrers(
  components: Components,
  repository: Source,
  subject: Digest,
  signal: AbortSignal,
): Promise<Limited<Referrer>> {
  let total = 0
  const read = async (digest: Digest, depth: number): Promise<Referrer[]> => {
    const referrers: Referrer[] = []
    if (depth > maxDepth || total > maxReferrers) {
      return referrers
    }
    const { items } = await repository.referrers(digest, { limit: maxReferrers - total + 1, last: undefined })
    const tagged = await attached(repository, digest, signal)
    const named = items.map(readDescriptor).map(({ annotations, artifactType, digest, size }) => {
      return { digest, size, artifactType: textOf(artifactType), annotations: pairsOf(annotations) }
    })
    const byTag = tagged.filter(item => !named.some(({ digest }) => digest === item.digest))
    for (const item of [...byTag, ...named]) {
      total++
      if (total <= maxReferrers) {
        const signature = await note(components, repository, digest, item, signal)
        referrers.push({ ...item, signature, referrers: await read(item.digest, depth + 1) })
      }
    }
    return referrers
  }
  return { items: await read(subject, 1), total }
}

const cosign = /cosign.*(signature|simplesigning|artifact\.sig)|sigstore\.bundle|notary.*signature/

/** Asks nobody about what is no signature by its type */
async function note(
  { signatures }: Components,
  repository: Source,
  image: Digest,
  { artifactType = '', digest, tag }: Pick<Referrer, 'artifactType' | 'digest' | 'tag'>,
  signal: AbortSignal,
): Promise<SignatureNote | undefined> {
  if (!cosign.test(artifactType) && tag?.endsWith('.sig') !== true) {
    return undefined
  }
  const found = await signatures?.note(repository, image, digest, { signal })
  return found ?? { verified: false, reason: 'no policy onlySigned names a key for this repository' }
}

/** What cosign 2 attached by a tag */
async function attached(
  repository: Source,
  digest: Digest,
  signal: AbortSignal,
): Promise<Array<Omit<Referrer, 'referrers'>>> {
  const found = await Promise.all(
    ['sig', 'att', 'sbom'].map(async suffix => {
      const tag = `${digest.replace(':', '-')}.${suffix}`
      const manifest = await orUnknown(async () => await repository.manifest({ tag }))
      return manifest && { tag, digest: manifest.digest, size: manifest.size, ...(await described(manifest, signal)) }
    }),
  )
  return found.filter(item => item !== undefined)
}

/** The type of the first layer says more than that of the config, which is the same for everything */
async function described(
  { mediaType, read, size }: FoundManifest,
  signal: AbortSignal,
): Promise<Pick<Referrer, 'annotations' | 'artifactType'>> {
  try {
    if (size <= maxManifestBytes) {
      const { annotations, blobs } = parseStoredManifest(await read({ signal }), mediaType)
      return { artifactType: textOf(blobs[1]?.mediaType), annotations: pairsOf(annotations) }
    }
  } catch {
    signal.throwIfAborted()
  }
  return { artifactType: undefined, annotations: pairsOf(undefined) }
}

async function orUnknown(look: () => Promise<FoundManifest>): Promise<FoundManifest | undefined> {
  try {
    return await look()
  } catch (err) {
    if (err instanceof OciError && err.code === 'MANIFEST_UNKNOWN') {
      return undefined
    }
    throw err
  }
}
