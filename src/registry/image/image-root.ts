/**
 * `registry/image` is about one image in IPFS. It imports nothing else of the registry. Begin here:
 *
 * - `image-root.ts`: makes the image root of a manifest
 * - `read-image.ts`: finds manifests and blobs below an image root, whichever program made it
 * - `cached-images.ts`: images of other nodes that are kept here while there is room
 * - `verified-files.ts`: which of their files were compared with a digest
 *
 * The image root is a directory with links to everything that a manifest refers to: an OCI image layout and the layout
 * of older IPDR programs in one. It depends on the manifest alone, so every node that holds the image gives it the same
 * CID.
 *
 * ```
 * <root>/oci-layout                  {"imageLayoutVersion":"1.0.0"}
 * <root>/index.json                  one descriptor: the top manifest, under the name `latest`
 * <root>/manifests/latest            the top manifest
 * <root>/manifests/<digest>          the top manifest, and every manifest below an index
 * <root>/blobs/<digest>              every config, layer and manifest
 * <root>/blobs/<algorithm>/<hex>     the same links again
 * ```
 *
 * The name is always `latest` and never the tag, as the root may depend on nothing but the manifest. For the same
 * reason there are no other tags below `manifests/`.
 *
 * Older versions made layout 1, which has no name in `index.json`: tools that look for one, such as umoci, find no
 * manifest there. Both layouts are read. A root of layout 1 stays as it is until its manifest is pushed again.
 */
import type { AddOptions, Content, ContentStore, DirectoryEntry } from '../../ipfs/content-store.ts'
import { forEach } from '../../scheduling/for-each.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'
import type { Index, ManifestRecord } from '../../index/index.ts'
import { refName } from '../../oci/manifest/annotations.ts'
import { algorithmOf, digestAlgorithms, hexOf, type Digest } from '../../oci/digest.ts'
import { OCI_INDEX } from '../../oci/manifest/media-types.ts'

export interface ImageRootComponents {
  content: Pick<ContentStore, 'add' | 'addDirectory'>
  index: Pick<Index, 'blob' | 'isLinked' | 'manifest'>
}

export type TopManifest = Omit<ManifestRecord, 'root'> & { digest: Digest }

/** What a manifest names, as far as the repository has it */
export interface ImageParts {
  /** Manifests below it, without itself */
  manifests: Map<Digest, Content>
  blobs: Map<Digest, Content>
}

/** The first one is for new roots */
export const rootLayouts = [2, 1] as const
type RootLayout = (typeof rootLayouts)[number]

/**
 * Stores the image root of a manifest. It leaves out what the repository does not have, such as the platforms of a
 * sparse index.
 *
 * @param repository where the blobs and manifests are looked up
 * @returns the CID of the root
 */
export async function addImageRoot(
  { content, index }: ImageRootComponents,
  repository: string,
  top: TopManifest,
  layout?: RootLayout,
): Promise<string> {
  return await storeImageRoot(content, top, await gatherImage(index, repository, top), layout)
}

/**
 * Looks up everything that a manifest names, once. Whatever its descriptor says, each digest may be a blob, a manifest
 * or both in the repository: what is listed as a blob is looked for as a blob first, and what is listed as a manifest
 * as a manifest first. A subject is an image of its own, so it counts only where it is a blob, too: the manifest may be
 * deleted, and the blob stays.
 */
export async function gatherImage(
  index: ImageRootComponents['index'],
  repository: string,
  top: Pick<TopManifest, 'blobs' | 'digest' | 'manifests' | 'subject'>,
): Promise<ImageParts> {
  const parts: ImageParts = { manifests: new Map(), blobs: new Map() }
  const seen = new Set<Digest>([top.digest])
  const slice = new TimeSlice()
  const addBlob = async (digest: Digest): Promise<boolean> => {
    const record = (await index.isLinked(repository, digest)) ? await index.blob(digest) : undefined
    if (record !== undefined) {
      parts.blobs.set(digest, record)
    }
    return record !== undefined
  }
  const addManifest = async (digest: Digest): Promise<boolean> => {
    if (seen.has(digest)) {
      return true
    }
    const record = await index.manifest(repository, digest)
    if (record !== undefined) {
      seen.add(digest)
      parts.manifests.set(digest, contentOf(record))
      await addReferences(record)
    }
    return record !== undefined
  }
  const addReferences = async ({
    blobs,
    manifests,
    subject,
  }: Parameters<typeof gatherImage>[2] | ManifestRecord): Promise<void> => {
    for (const digest of new Set(blobs)) {
      await slice.pause()
      ;(await addBlob(digest)) || (await addManifest(digest))
    }
    for (const digest of new Set(manifests)) {
      await slice.pause()
      ;(await addManifest(digest)) || (await addBlob(digest))
    }
    if (subject !== undefined) {
      await addBlob(subject)
    }
  }
  await addReferences(top)
  // whoever goes on with a large image does much at once
  await slice.pause()
  return parts
}

/**
 * @param options.onBlock called with the blocks of its directories and small files, and of no file that it links to
 * @returns the CID of the root
 */
export async function storeImageRoot(
  content: ImageRootComponents['content'],
  top: TopManifest,
  parts: ImageParts,
  layout: RootLayout = rootLayouts[0],
  options: Pick<AddOptions, 'onBlock'> = {},
): Promise<string> {
  const manifests = new Map([[top.digest, contentOf(top)], ...parts.manifests])
  const entries: [string, () => Promise<Content>][] = [
    ['oci-layout', async () => await content.add(encode({ imageLayoutVersion: '1.0.0' }), options)],
    ['index.json', async () => await content.add(encode(layoutIndex(top, layout)), options)],
    [
      'manifests',
      async () =>
        await content.addDirectory(
          [
            { name: 'latest', content: contentOf(top) },
            ...Array.from(manifests, ([digest, content]) => ({ name: digest, content })),
          ],
          options,
        ),
    ],
    ['blobs', async () => await addBlobDirectory(content, new Map([...parts.blobs, ...manifests]), options)],
  ]
  // none of them needs another, and where one fails, nothing is written any more once that is known
  const added: DirectoryEntry[] = []
  await forEach(entries.entries(), entries.length, undefined, async ([i, [name, add]]) => {
    added[i] = { name, content: await add() }
  })
  const root = await content.addDirectory(added, options)
  return root.cid
}

function layoutIndex({ digest, mediaType, size }: TopManifest, layout: RootLayout): unknown {
  return {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [{ mediaType, digest, size, ...(layout === 1 ? {} : { annotations: { [refName]: 'latest' } }) }],
  }
}

async function addBlobDirectory(
  content: ImageRootComponents['content'],
  blobs: ReadonlyMap<Digest, Content>,
  options: AddOptions,
): Promise<Content> {
  const entries: DirectoryEntry[] = Array.from(blobs, ([digest, content]) => ({ name: digest, content }))
  for (const algorithm of digestAlgorithms) {
    const ofAlgorithm = [...blobs].filter(([digest]) => algorithmOf(digest) === algorithm)
    if (ofAlgorithm.length > 0) {
      entries.push({
        name: algorithm,
        content: await content.addDirectory(
          ofAlgorithm.map(([digest, content]) => ({ name: hexOf(digest), content })),
          options,
        ),
      })
    }
  }
  return await content.addDirectory(entries, options)
}

function contentOf({ cid, size, dagSize }: Content): Content {
  return { cid, size, dagSize }
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}
