/**
 * The image root: a directory with links to everything that a manifest refers to, an OCI image layout and the layout of older IPDR programs
 * in one. It depends on the manifest alone, so every node that holds the image gives it the same CID.
 *
 * ```
 * <root>/oci-layout                  {"imageLayoutVersion":"1.0.0"}
 * <root>/index.json                  one descriptor: the top manifest, by the name `latest`
 * <root>/manifests/latest            the top manifest
 * <root>/manifests/<digest>          the top manifest, and every manifest below an index
 * <root>/blobs/<digest>              every config, layer and manifest
 * <root>/blobs/<algorithm>/<hex>     the same links again
 * ```
 *
 * Layout 1, of roots that older versions made, has no name in `index.json`: tools that ask for one, as umoci does, can't find the manifest there.
 * The name is always `latest`, and not the tag, as the root depends on nothing but the manifest; for the same reason other tags are not below
 * `manifests/`. Both layouts are read, and roots of layout 1 stay what they are until their manifest is pushed again.
 */
import type { Content, ContentStore, DirectoryEntry } from '../../ipfs/content-store.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'
import type { Index, ManifestRecord } from '../../index/index.ts'
import { refName } from '../../oci/annotations.ts'
import { algorithmOf, digestAlgorithms, hexOf, type Digest } from '../../oci/digest.ts'
import { OCI_INDEX } from '../../oci/media-types.ts'

export interface ImageRootComponents {
  content: Pick<ContentStore, 'add' | 'addDirectory'>
  index: Pick<Index, 'blob' | 'isLinked' | 'manifest'>
}

export type TopManifest = Omit<ManifestRecord, 'root'> & { digest: Digest }

/** The newest is for what is made anew */
export const rootLayouts = [2, 1] as const
type RootLayout = (typeof rootLayouts)[number]

type Contents = Map<Digest, Content>

/**
 * Stores the image root of a manifest. What is not in the registry, as platforms that a sparse index leaves out, is left out of it.
 *
 * @param repository where manifests below an index are looked up
 * @returns the root's CID
 */
export async function addImageRoot(
  components: ImageRootComponents,
  repository: string,
  top: TopManifest,
  layout: RootLayout = rootLayouts[0],
): Promise<string> {
  const { content } = components
  const manifests: Contents = new Map()
  const blobs: Contents = new Map()
  await collect(components, repository, top.digest, top, { manifests, blobs })

  const version = await content.add(encode({ imageLayoutVersion: '1.0.0' }))
  const index = await content.add(
    encode({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [
        {
          mediaType: top.mediaType,
          digest: top.digest,
          size: top.size,
          ...(layout === 1 ? {} : { annotations: { [refName]: 'latest' } }),
        },
      ],
    }),
  )
  const manifestDirectory = await content.addDirectory([
    { name: 'latest', content: contentOf(top) },
    ...Array.from(manifests, ([digest, content]) => ({ name: digest, content })),
  ])
  const blobDirectory = await addBlobDirectory(content, new Map([...blobs, ...manifests]))
  const root = await content.addDirectory([
    { name: 'oci-layout', content: version },
    { name: 'index.json', content: index },
    { name: 'manifests', content: manifestDirectory },
    { name: 'blobs', content: blobDirectory },
  ])
  return root.cid
}

/**
 * Gathers a manifest and all that it names, which may be a blob, a manifest or both in the repository, whatever its descriptor says: what is listed
 * as a blob is taken for one first, what is listed as a manifest for that. A subject is an image of its own; it counts only where it is a blob.
 */
async function collect(
  components: ImageRootComponents,
  repository: string,
  digest: Digest,
  manifest: Omit<ManifestRecord, 'root'>,
  into: { manifests: Contents; blobs: Contents },
): Promise<void> {
  const { index } = components
  const slice = new TimeSlice()
  const addBlob = async (blob: Digest): Promise<boolean> => {
    const record = (await index.isLinked(repository, blob)) ? await index.blob(blob) : undefined
    if (record !== undefined) {
      into.blobs.set(blob, record)
    }
    return record !== undefined
  }
  const addManifest = async (child: Digest): Promise<boolean> => {
    if (into.manifests.has(child)) {
      return true
    }
    const record = await index.manifest(repository, child)
    if (record !== undefined) {
      await collect(components, repository, child, record, into)
    }
    return record !== undefined
  }
  into.manifests.set(digest, contentOf(manifest))
  for (const blob of new Set(manifest.blobs)) {
    await slice.pause()
    ;(await addBlob(blob)) || (await addManifest(blob))
  }
  for (const child of new Set(manifest.manifests)) {
    await slice.pause()
    ;(await addManifest(child)) || (await addBlob(child))
  }
  if (manifest.subject !== undefined && (await index.manifest(repository, manifest.subject)) === undefined) {
    await addBlob(manifest.subject)
  }
}

async function addBlobDirectory(content: ImageRootComponents['content'], blobs: Contents): Promise<Content> {
  const entries: DirectoryEntry[] = Array.from(blobs, ([digest, content]) => ({ name: digest, content }))
  for (const algorithm of digestAlgorithms) {
    const ofAlgorithm = [...blobs].filter(([digest]) => algorithmOf(digest) === algorithm)
    if (ofAlgorithm.length > 0) {
      entries.push({
        name: algorithm,
        content: await content.addDirectory(ofAlgorithm.map(([digest, content]) => ({ name: hexOf(digest), content }))),
      })
    }
  }
  return await content.addDirectory(entries)
}

function contentOf({ cid, size, dagSize }: Content): Content {
  return { cid, size, dagSize }
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}
