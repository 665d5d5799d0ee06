/**
 * The whole key space of the index. The values are JSON, unless this says otherwise; index.ts describes them.
 *
 * ```
 * /blob/<digest>                            CID and size of a blob, once for all repositories
 * /link/<repository>:<digest>               the repository may serve this blob; time
 * /manifest/<repository>:<digest>           media type, size, CID of the bytes, image root, time
 * /tag/<repository>:<tag>                   digest, time
 * /referrer/<repository>:<subject>:<digest> the descriptor that the referrers API answers with
 * /repository/<repository>                  the repository has a manifest, so the catalog lists it
 * /condition                                whether the index is whole, lost or being filled from a backup; time
 * /published                                root of the directory of tags that was published last
 * /cached/<root>                            image of another node, kept here while there is room; time
 * /upload/<id>                              state of an open upload
 * /upload-leaves/<id>:<position>            CIDs of its leaves from that position (10 digits) on
 *
 * /fetch/<id>                               a blob on its way here from another registry; time
 * /fetch-leaves/<id>/<position>             SHA-256 of its leaves from that position (10 digits) on, as bytes
 * /mirrored/<repository>:<digest>           a manifest of another registry, kept here while there is room; time
 * /mirrored-tag/<repository>:<tag>          when the other registry was last asked for the tag
 *
 * /event/<id>                               what happened, for webhooks and scripts; an id sorts by time
 * /event-waiting/<webhook>:<id>             the event waits for the webhook; no value
 * /pulls                                    since when pulls are noted; time
 * /pulled/<repository>:<digest>             when the manifest was last pulled; time
 *
 * /linked/<short>:<repository>              every link once more, to be found by blob; its digest as text
 * /blob-blocks/<digest>                     the blocks of a blob: the first 16 bytes of the hash of each
 * /manifest-blocks/<repository>:<digest>    those of a manifest, and of what its image root has beside what it names
 * /owner/<short>:<short>                    the block is one of the blob; no value
 * /owner/<short>/<repository>:<digest>      the block is one of the manifest; no value
 *
 * /change/<repository>:<state>              what one change did; its number (12 digits) is that of the state after it
 * /change-order/<state>                     of which repository the change is; time, bytes of its record
 * /kept/<short>:<state>                     the block is of what the change took away, or of a blob; no value
 * /forgotten                                the first state that is known, and since when it was so
 * ```
 *
 * A short key is the first 16 bytes of a hash in base64url: there are as many as there are blocks.
 *
 * A `:` ends the name of a repository. No name contains one, so a range scan over the repository `a` leaves out `a/b`.
 * A prefix that is no longer in use is never reused for something else.
 */
import { hexOf, type Digest } from '../oci/digest.ts'

export const keys = {
  blob: (digest: Digest) => `${prefixes.blobs()}${digest}`,
  link: (repository: string, digest: Digest) => `${prefixes.linksOf(repository)}${digest}`,
  manifest: (repository: string, digest: Digest) => `${prefixes.manifests(repository)}${digest}`,
  tag: (repository: string, tag: string) => `${prefixes.tags(repository)}${tag}`,
  referrer: (repository: string, subject: Digest, digest: Digest) =>
    `${prefixes.referrers(repository, subject)}${digest}`,
  repository: (repository: string) => `${prefixes.repositories()}${repository}`,
  condition: () => '/condition',
  published: () => '/published',
  cached: (root: string) => `${prefixes.cached()}${root}`,
  upload: (id: string) => `${prefixes.uploads()}${id}`,
  uploadLeaves: (id: string, position: number) => `${prefixes.uploadLeaves(id)}${tenDigits(position)}`,
  fetch: (id: string) => `${prefixes.fetches()}${id}`,
  fetchLeaves: (id: string, position: number) => `${prefixes.fetchLeaves(id)}${tenDigits(position)}`,
  mirrored: (repository: string, digest: Digest) => `/mirrored/${repository}:${digest}`,
  mirroredTag: (repository: string, tag: string) => `/mirrored-tag/${repository}:${tag}`,
  event: (id: string) => `${prefixes.events()}${id}`,
  waitingEvent: (webhook: string, id: string) => `${prefixes.waitingEventsOf(webhook)}${id}`,
  pulls: () => '/pulls',
  pulled: (repository: string, digest: Digest) => `${prefixes.pulled(repository)}${digest}`,
  linked: (repository: string, digest: Digest) => `${prefixes.linkedTo(shortKey(digest))}${repository}`,
  blobBlocks: (digest: Digest) => `/blob-blocks/${digest}`,
  manifestBlocks: (repository: string, digest: Digest) => `/manifest-blocks/${repository}:${digest}`,
  ownerBlob: (block: string, blob: string) => `${prefixes.ownersOf(block)}:${blob}`,
  ownerManifest: (block: string, repository: string, digest: Digest) =>
    `${prefixes.ownersOf(block)}/${repository}:${digest}`,
  change: (repository: string, state: number) => keys.inHistory(prefixes.changes(repository), state),
  changeOrder: (state: number) => keys.inHistory(prefixes.changeOrder(), state),
  kept: (block: string, state: number) => keys.inHistory(prefixes.keptBlock(block), state),
  forgotten: () => '/forgotten',
  inHistory: (prefix: string, state: number) => `${prefix}${String(state).padStart(12, '0')}`,
}

/** What all keys of a listing begin with; the rest of each key names the item */
export const prefixes = {
  blobs: () => '/blob/',
  links: () => '/link/',
  linksOf: (repository: string) => `${prefixes.links()}${repository}:`,
  manifests: (repository: string) => `/manifest/${repository}:`,
  allTags: () => '/tag/',
  tags: (repository: string) => `${prefixes.allTags()}${repository}:`,
  referrers: (repository: string, subject: Digest) => `/referrer/${repository}:${subject}:`,
  repositories: () => '/repository/',
  cached: () => '/cached/',
  uploads: () => '/upload/',
  uploadLeaves: (id: string) => `/upload-leaves/${id}:`,
  fetches: () => '/fetch/',
  fetchLeaves: (id: string) => `/fetch-leaves/${id}/`,
  events: () => '/event/',
  waitingEvents: () => '/event-waiting/',
  waitingEventsOf: (webhook: string) => `${prefixes.waitingEvents()}${webhook}:`,
  pulled: (repository: string) => `/pulled/${repository}:`,
  linkedTo: (blob: string) => `/linked/${blob}:`,
  ownersOf: (block: string) => `/owner/${block}`,
  changes: (repository: string) => `/change/${repository}:`,
  changeOrder: () => '/change-order/',
  kept: () => '/kept/',
  keptBlock: (block: string) => `${prefixes.kept()}${block}:`,
}

/** Bytes of a hash that a short key has */
export const shortKeyBytes = 16

/** The short key of a block, by the first bytes of its hash, or of a blob */
export function shortKey(hash: Uint8Array | Digest): string {
  const bytes = typeof hash === 'string' ? Buffer.from(hexOf(hash).slice(0, 2 * shortKeyBytes), 'hex') : hash
  return Buffer.from(bytes.subarray(0, shortKeyBytes)).toString('base64url')
}

/** Sorts after every character that a key may have */
const afterAll = '\uffff'

/**
 * The range of all keys that begin with a prefix
 *
 * @param last the range starts after this item
 */
export function within(prefix: string, last?: string): { gt: string; lt: string } {
  return { gt: `${prefix}${last ?? ''}`, lt: `${prefix}${afterAll}` }
}

function tenDigits(position: number): string {
  return String(position).padStart(10, '0')
}
