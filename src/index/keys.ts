/**
 * The whole key space of the index. The values are JSON; index.ts describes them.
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
 * ```
 *
 * A `:` ends the name of a repository. No name contains one, so a range scan over the repository `a` leaves out `a/b`.
 * A prefix that is no longer in use is never reused for something else.
 */
import type { Digest } from '../oci/digest.ts'

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
  uploadLeaves: (id: string, position: number) => `${prefixes.uploadLeaves(id)}${String(position).padStart(10, '0')}`,
}

/** What all keys of a listing begin with; the rest of each key names the item */
export const prefixes = {
  blobs: () => '/blob/',
  links: () => '/link/',
  linksOf: (repository: string) => `${prefixes.links()}${repository}:`,
  manifests: (repository: string) => `/manifest/${repository}:`,
  tags: (repository: string) => `/tag/${repository}:`,
  referrers: (repository: string, subject: Digest) => `/referrer/${repository}:${subject}:`,
  repositories: () => '/repository/',
  cached: () => '/cached/',
  uploads: () => '/upload/',
  uploadLeaves: (id: string) => `/upload-leaves/${id}:`,
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
