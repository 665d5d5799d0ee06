/**
 * The whole key space of the index. Values are JSON; what each holds is in index.ts.
 *
 * ```
 * /blob/<digest>                            root CID and size of a blob, whatever repository has it
 * /link/<repository>:<digest>               the repository may serve this blob; time
 * /manifest/<repository>:<digest>           media type, size, CID of the bytes, image root, time
 * /tag/<repository>:<tag>                   digest, time
 * /referrer/<repository>:<subject>:<digest> the descriptor that the referrers API answers with
 * /repository/<repository>                  the repository has a manifest: the catalog
 * /condition                                whether all is here that should be; time
 * /published                                root of the directory of tags that was published last
 * /cached/<root>                            an image of other nodes is kept here while there is room; time
 * /upload/<id>                              state of an open upload
 * /upload-leaves/<id>:<position>            CIDs of its leaves from that position (10 digits) on
 * ```
 *
 * `:` ends a repository's name: no name has one, and it keeps `a` and `a/b` apart in a range scan.
 * A prefix that is no longer used is never used again for something else.
 */
import type { Digest } from '../oci/digest.ts'

export const keys = {
  blob: (digest: Digest) => `${prefixes.blobs()}${digest}`,
  link: (repository: string, digest: Digest) => `${prefixes.links()}${repository}:${digest}`,
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

/** What all keys of a listing begin with; the rest of the key is the listed thing's name */
export const prefixes = {
  blobs: () => '/blob/',
  links: () => '/link/',
  manifests: (repository: string) => `/manifest/${repository}:`,
  tags: (repository: string) => `/tag/${repository}:`,
  referrers: (repository: string, subject: Digest) => `/referrer/${repository}:${subject}:`,
  repositories: () => '/repository/',
  cached: () => '/cached/',
  uploads: () => '/upload/',
  uploadLeaves: (id: string) => `/upload-leaves/${id}:`,
}

/** Sorts behind every character of a key */
const afterAll = '\uffff'

/**
 * All keys that begin with a prefix
 *
 * @param last what is left out, with all before it
 */
export function within(prefix: string, last?: string): { gt: string; lt: string } {
  return { gt: `${prefix}${last ?? ''}`, lt: `${prefix}${afterAll}` }
}
