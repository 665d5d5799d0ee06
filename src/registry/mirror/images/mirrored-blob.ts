import type { Index } from '../../../index/index.ts'
import { leafSize } from '../../../ipfs/dag/encode-node.ts'
import { digestCid } from '../../../ipfs/digests/digest-cid.ts'
import type { Digest } from '../../../oci/digest.ts'
import { OciError } from '../../../oci/errors.ts'
import type { ClientLimit } from '../../client-limit.ts'
import { translateErrors } from '../../errors.ts'
import type { LinkGuard } from '../../link-guard.ts'
import type { Blob, ReadBlobOptions, Repository, RequestOptions } from '../../repository.ts'
import type { UnreadableFiles } from '../../unreadable-files.ts'
import type { BlobFetch } from '../fetch/blob-fetch.ts'
import type { BlobFetches } from '../fetch/blob-fetches.ts'
import type { MirroredManifests } from './mirrored-manifests.ts'
import { UpstreamError, type Upstream } from '../../upstream.ts'

export interface MirroredBlobComponents {
  index: Pick<Index, 'blob' | 'change' | 'isLinked'>
  links: LinkGuard
  unreadable: Pick<UnreadableFiles, 'has'>
  fetches: BlobFetches
  manifests: Pick<MirroredManifests, 'read' | 'sizeOf'>
  /** Limits the requests that wait for blobs */
  waiting?: ClientLimit | undefined
}

export interface MirroredRepository {
  upstream: Upstream
  /** Name at the upstream */
  repository: string
  /** Keeps what is mirrored; its name is the one here */
  local: Repository
}

/**
 * A blob of another registry: from here, or else fetched once it is read
 *
 * @throws OciError BLOB_UNKNOWN, or why upstream can't be asked
 */
export async function mirroredBlob(
  components: MirroredBlobComponents,
  mirrored: MirroredRepository,
  digest: Digest,
  options: RequestOptions,
): Promise<Blob> {
  const { manifests } = components
  const { local } = mirrored
  const { name } = local
  if (await isHere(components, mirrored, digest, options)) {
    return await localBlob(components, local, digest)
  }
  return await translateErrors(async () => {
    const size = (await manifests.sizeOf(name, digest)) ?? (await sizeAtUpstream(mirrored, digest, options))
    return {
      digest,
      size,
      cid: cidOf(digest, size),
      source: 'upstream',
      read: options => fetchBlob(components, mirrored, { digest, size }, options),
    }
  })
}

/**
 * The fetch of a blob that somebody wants as a whole, without reading it; it goes on as long as it is held
 *
 * @returns undefined where the blob is here
 * @throws OciError BLOB_UNKNOWN, STORAGE_FULL, or why upstream can't be asked
 */
export async function fetchMissing(
  components: MirroredBlobComponents,
  mirrored: MirroredRepository,
  blob: Pick<Blob, 'digest' | 'size'>,
  options: RequestOptions,
): Promise<BlobFetch | undefined> {
  while (!(await isHere(components, mirrored, blob.digest, options))) {
    const fetch = await openFetch(components, mirrored, blob, options)
    if (fetch !== undefined) {
      return fetch
    }
  }
  return undefined
}

/** Whether a blob is stored, for any repository, and can be read as far as is known */
export async function isReadable(
  { index, unreadable }: Pick<MirroredBlobComponents, 'index' | 'unreadable'>,
  digest: Digest,
): Promise<boolean> {
  const record = await index.blob(digest)
  return record !== undefined && !(await unreadable.has(record.cid))
}

/**
 * Whether the repository has a blob. It does from now on, where another one has it and upstream tells that this one
 * does, too.
 */
async function isHere(
  components: MirroredBlobComponents,
  mirrored: MirroredRepository,
  digest: Digest,
  options: RequestOptions,
): Promise<boolean> {
  const { index, links } = components
  const { name } = mirrored.local
  await links.ask(name, digest)
  if (!(await isReadable(components, digest))) {
    return false
  }
  if (!(await index.isLinked(name, digest))) {
    await translateErrors(async () => await sizeAtUpstream(mirrored, digest, options))
    await link(components, name, digest)
  }
  return true
}

/** Not evicted while it is read */
async function localBlob({ manifests }: MirroredBlobComponents, local: Repository, digest: Digest): Promise<Blob> {
  const blob = await local.blob(digest)
  return {
    ...blob,
    read: async function* (options) {
      using _reading = manifests.read(local.name)
      yield* blob.read(options)
    },
  }
}

/**
 * Asks upstream for the first byte of a blob
 *
 * @throws OciError BLOB_UNKNOWN; UpstreamError
 */
async function sizeAtUpstream(
  { repository, upstream }: MirroredRepository,
  digest: Digest,
  options: RequestOptions,
): Promise<number> {
  const body = await upstream.blob(repository, digest, { ...options, start: 0, end: 0 })
  if (body === undefined) {
    throw new OciError('BLOB_UNKNOWN', { detail: { digest, upstream: upstream.name } })
  }
  // read, so that the connection is free again
  for await (const _ of body.bytes) {
    break
  }
  if (body.size === undefined) {
    const message = `${upstream.name} does not tell how large ${digest} is`
    throw new UpstreamError(message, { upstream: upstream.name, reason: 'invalid' })
  }
  return body.size
}

async function link({ index, links }: MirroredBlobComponents, repository: string, digest: Digest): Promise<void> {
  await links.add(digest, async () => {
    if ((await index.blob(digest)) !== undefined) {
      const linked = index.change().putLink(repository, digest)
      await linked.commit({ durable: true })
    }
  })
}

async function* fetchBlob(
  components: MirroredBlobComponents,
  mirrored: MirroredRepository,
  blob: Pick<Blob, 'digest' | 'size'>,
  options: ReadBlobOptions = {},
): AsyncGenerator<Uint8Array> {
  using _place = components.waiting?.take(options.client)
  const fetch =
    (await openFetch(components, mirrored, blob, options)) ?? (await fetchMissing(components, mirrored, blob, options))
  yield* (fetch ?? (await localBlob(components, mirrored.local, blob.digest))).read(options)
}

async function openFetch(
  { fetches }: MirroredBlobComponents,
  mirrored: MirroredRepository,
  { digest, size }: Pick<Blob, 'digest' | 'size'>,
  options: RequestOptions,
): Promise<BlobFetch | undefined> {
  const { name } = mirrored.local
  if (fetches.isOfOthers(name, digest, size)) {
    await translateErrors(async () => await sizeAtUpstream(mirrored, digest, options))
  }
  return await fetches.open(name, digest, size)
}

/** A blob of one leaf has the CID that its digest tells */
function cidOf(digest: Digest, size: number): string | undefined {
  return size <= leafSize ? digestCid(digest)?.toString() : undefined
}
