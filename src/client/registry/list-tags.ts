import { forEach } from '../../scheduling/for-each.ts'
import type { Digest } from '../../oci/digest.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import { inspectImage } from './inspect-image.ts'
import type { Fetching, RegistryClient } from '../../remote/registry/registry-client.ts'

/** Tags that are inspected at a time */
const concurrency = 8

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

/** The tags of one repository, or of all if none is named */
export async function listTags(
  client: RegistryClient,
  repository: string | undefined,
  options: AbortOptions = {},
): Promise<ListedTag[]> {
  const names = repository === undefined ? await Array.fromAsync(client.repositories(options)) : [repository]
  const tags: Array<{ name: string; tag: string }> = []
  for (const name of names) {
    for await (const tag of client.tags(name, options)) {
      tags.push({ name, tag })
    }
  }
  const listed = new Map<{ name: string; tag: string }, ListedTag>()
  await forEach(tags, concurrency, options.signal, async (entry, signal) => {
    const { cid, digest, fetching, size } = await inspectImage(client, entry.name, { tag: entry.tag }, { signal })
    listed.set(entry, { ...entry, digest, cid, size, fetching })
  })
  return tags.map(entry => listed.get(entry)!)
}
