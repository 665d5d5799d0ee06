/**
 * `src/registry` is what a registry does: it stores and serves blobs, manifests and tags, by the rules of the OCI
 * distribution specification. It may import `ipfs` (content), `oci`, `scheduling` and types of `index`; it knows
 * neither HTTP nor the configuration. Its rooms, each of which may import those after it:
 *
 * - `repositories/`: what a repository name stands for (begin with `registry.ts`), and what its routes do
 * - `overview/`: what people look at: lists, searches, the parts of an image; loaded when somebody looks
 * - `signatures/`: who signed an image, and what is refused without
 * - `mirror/`: repositories of other registries (begin with `mirroring.ts`)
 * - `policies/`: immutable tags, deprecated images, the read-only mode; `quotas/`: how much a repository may hold
 * - `uploads/`: blobs on their way in
 * - `tags/`: tags for other nodes: the published directory, the CID store, the resolvers
 * - `sharing/`: which digests, blocks and image roots other nodes are told of, by the rules for them
 * - this folder: what several rooms need, e.g. `errors.ts` (what a client gets for an error), `link-guard.ts` (pushes
 *   beside garbage collection), `client-limit.ts` (429), `index-condition.ts` (a lost index), `unreadable-files.ts`,
 *   `upstream.ts` (another registry; `src/upstream` implements it)
 * - `image/`: one image in IPFS: its root, and reading it
 *
 * This file is the interface that the HTTP routes use; they do not see whether a repository is local, an image or
 * resolved.
 */
import type { Digest } from '../oci/digest.ts'
import type { ByteRange } from '../oci/range.ts'
import type { Page } from '../oci/pagination.ts'
import type { Reference } from '../oci/reference.ts'
import type { EventOrigin } from './event-sink.ts'
import type { Referrer } from './referrer.ts'

export interface RequestOptions {
  signal?: AbortSignal | undefined
  /** Address of the client, for limits per client */
  client?: string | undefined
  /** `Via` of the request, where other registries passed it on */
  via?: string | undefined
  /** Whether no other registry is asked: what is not here counts as unknown */
  onlyCached?: boolean | undefined
}

export interface LookUpOptions extends RequestOptions {
  /**
   * Whether content with missing or damaged blocks counts as unknown; for a client that asks whether it has to push it
   */
  whole?: boolean | undefined
  /** Whether the client is one that signs images, which reads them before they have a signature */
  signs?: boolean | undefined
}

/** Where the bytes of a response come from */
export type SourceKind = 'disk' | 'peer' | 'gateway' | 'upstream'

export interface ReadBlobOptions extends RequestOptions, Partial<ByteRange> {
  /** Told before each chunk that does not come from the disk of this machine, and may be told of those that do */
  onSource?: ((source: SourceKind, bytes: number) => void) | undefined
}

export interface Blob {
  digest: Digest
  /** Bytes */
  size: number
  /** Undefined where it is not known before the blob is here */
  cid: string | undefined
  /** Where its bytes are; undefined where that is known only once they are read */
  source?: SourceKind | undefined
  /** The repository here that it is of, and whose rules hold for it; @default the one that was asked */
  repository?: string | undefined
  read: (options?: ReadBlobOptions) => AsyncIterable<Uint8Array>
}

export interface StoredManifest {
  digest: Digest
  mediaType: string
  /** Bytes */
  size: number
  /** CID of the image root */
  root: string
  /** What clients are told who pull it, safe in a header; undefined: it is not deprecated by itself */
  deprecated?: string | undefined
  /** The bytes exactly as they were pushed */
  read: (options?: RequestOptions) => Promise<Uint8Array>
}

/** A manifest that somebody asked for, which may be another registry's */
export interface FoundManifest extends Omit<StoredManifest, 'root'> {
  /** CID of the image root; undefined where the manifest is not here */
  root: string | undefined
  /** Where its bytes come from; @default disk */
  source?: SourceKind | undefined
  /** Milliseconds since the other registry told of it, where that can't be asked now */
  staleFor?: number | undefined
  /**
   * Bytes of its blobs, and how many of them are here; undefined where none is on its way, and unless
   * {@link RequestOptions.onlyCached} was asked for
   */
  fetching?: { here: number; size: number } | undefined
}

export interface PutManifest {
  reference: Reference
  bytes: Uint8Array
  /** Media type of the request, without parameters */
  contentType: string | undefined
  /** Tags that are set together with the manifest */
  tags: readonly string[]
  /** Is asked about each tag that leaves another manifest, and throws where it must not; nothing is changed then */
  onMove?: ((tag: string) => void) | undefined
  /** For the events that tell of it */
  origin?: EventOrigin | undefined
}

export interface DeleteManifestOptions {
  /** Is asked about each tag that goes with a manifest, and throws where it must not; nothing is changed then */
  onUntag?: ((tag: string) => void) | undefined
  /** For the events that tell of it */
  origin?: EventOrigin | undefined
}

/** One page of a listing */
export interface Listing<T> {
  items: T[]
  /** Whether there is more after the last item */
  more: boolean
}

/**
 * A repository as the HTTP API sees it. Reading throws OciError BLOB_UNKNOWN, MANIFEST_UNKNOWN or NAME_UNKNOWN where
 * there is nothing.
 */
export interface Repository {
  readonly name: string
  /** The registry that it is a repository of; undefined: this one, or none */
  readonly upstream?: string | undefined
  blob: (digest: Digest, options?: LookUpOptions) => Promise<Blob>
  manifest: (reference: Reference, options?: LookUpOptions) => Promise<FoundManifest>
  tags: (page: Page, options?: RequestOptions) => Promise<Listing<string>>
  /** The manifests that name `subject`; an empty page where there is none */
  referrers: (
    subject: Digest,
    page: Page,
    artifactType?: string,
    options?: RequestOptions,
  ) => Promise<Listing<Referrer>>

  /**
   * @throws OciError MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN, DIGEST_INVALID or STORAGE_FULL; nothing has changed then
   */
  putManifest: (manifest: PutManifest) => Promise<{ manifest: StoredManifest; subject: Digest | undefined }>
  /** Deletes a tag, or a manifest with the tags that point at it */
  deleteManifest: (reference: Reference, options?: DeleteManifestOptions) => Promise<void>
  deleteBlob: (digest: Digest) => Promise<void>
  /**
   * Makes a blob of another repository available in this one, without copying it
   *
   * @param from the other repository; undefined: any
   * @returns whether there was such a blob
   */
  mountBlob: (digest: Digest, from: string | undefined) => Promise<boolean>
  /** @throws OciError DENIED where the repository is read-only */
  requireWritable: () => void
}

/** A repository of this registry: what is in it has a CID */
export interface StoredRepository extends Repository {
  blob: (digest: Digest, options?: LookUpOptions) => Promise<Blob & { cid: string }>
  manifest: (reference: Reference, options?: LookUpOptions) => Promise<StoredManifest>
}

/** Repositories of other registries, under names of this one */
export interface Mirrors {
  /**
   * @param namespace the host of the other registry, as clients name it
   * @param name of a repository there
   * @returns its name here
   * @throws OciError NAME_UNKNOWN where that registry is not mirrored, NAME_INVALID
   */
  named: (namespace: string, name: string) => string
  /**
   * @returns undefined where the name is not one of another registry's
   * @throws OciError NAME_UNKNOWN where the repository is not mirrored
   */
  repository: (name: string) => Repository | undefined
  /** The name of what is pulled by a name that has no repository here; undefined: nothing */
  fallbackName: (name: string) => string | undefined
  /** Why there is nothing by a name of another registry that is not mirrored; undefined: the name is none */
  reasonAgainst: (name: string) => string | undefined
}
