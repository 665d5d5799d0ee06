import { forEach } from '../../scheduling/for-each.ts'
import type { Digest } from '../../oci/digest.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import { inspectImage } from './inspect-image.ts'
import type { Fetching, ImageDetails } from '../../remote/registry/distribution-api.ts'
import type { RegistryClient } from '../../remote/registry/registry-client.ts'

/** Tags that are inspected at a time */
const concurrency = 8

interface Entry {
  name: string
  tag: string
  details: ImageDetails | undefined
}

export interface ListedTag {
  name: string
  tag: string
  digest: Digest
  /** Of the image root */
  cid: string | undefined
  /** Bytes of all manifests and blobs, each counted once */
  size: number
  /** Undefined where a mirror fetches nothing of it */
  fetching: Fetching | undefined
}

/**
 * The tags of one repository, or of all if none is named. An IPDR appliance tells of images with the list of tags; what
 * it leaves out, and every image of another registry, is asked for on its own.
 */
export async function listTags(
  client: RegistryClient,
  repository: string | undefined,
  options: AbortOptions = {},
): Promise<ListedTag[]> {
  const names = repository === undefined ? await Array.fromAsync(client.repositories(options)) : [repository]
  const tags: Entry[] = []
  for (const name of names) {
    for await (const { details, tag } of client.tags(name, options)) {
      tags.push({ name, tag, details })
    }
  }
  const listed = new Map<Entry, ListedTag>()
  await forEach(tags, concurrency, options.signal, async (entry, signal) => {
    const { details, name, tag } = entry
    const { cid, digest, fetching, size } = details
      ? { ...details, fetching: undefined }
      : await inspectImage(client, name, { tag }, { signal })
    listed.set(entry, { name, tag, digest, cid, size, fetching })
  })
  return tags.map(entry => listed.get(entry)!)
}
