import type { CID } from 'multiformats/cid'
import { blockKeys } from '../../ipfs/blocks/block-keys.ts'
import { parseCid } from '../../ipfs/blocks/block-cid.ts'
import { readVerified } from '../../ipfs/blocks/verify-block.ts'
import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import type { StoreOptions } from '../../ipfs/content-store.ts'
import { walkBlocks } from '../../ipfs/dag/blocks-below.ts'
import { walkNodes } from '../../ipfs/dag/dag-walk.ts'
import { digestAlgorithms } from '../../oci/digest.ts'

type Blocks = Pick<DurableBlockstore, 'read'>

/**
 * The blocks of a file, found by its nodes; a push knows them without it
 *
 * @returns as {@link blockKeys} writes them
 * @throws NotFoundError where a node is missing, DamagedBlockError where one does not match its CID; RefusedDagError
 */
export async function blocksOfFile(blocks: Blocks, cid: string, options: StoreOptions = {}): Promise<Uint8Array> {
  return blockKeys(await cidsOfFile(blocks, parseCid(cid), options))
}

/**
 * The blocks of a manifest, and of the directories and small files of its image root: what a push of the manifest
 * stores. Those of the files that the manifest names are not among them.
 *
 * @returns as {@link blockKeys} writes them
 * @throws as {@link blocksOfFile}
 */
export async function blocksOfManifest(
  blocks: Blocks,
  { cid, root }: { cid: string; root: string },
  options: StoreOptions = {},
): Promise<Uint8Array> {
  const found = await cidsOfFile(blocks, parseCid(cid), options)
  const open = async (directory: CID | undefined): Promise<Map<string, CID>> =>
    directory === undefined ? new Map() : await openDirectory(blocks, directory, found, options)
  const top = await open(parseCid(root))
  for (const name of ['oci-layout', 'index.json']) {
    const file = top.get(name)
    found.push(...(file === undefined ? [] : await cidsOfFile(blocks, file, options)))
  }
  await open(top.get('manifests'))
  const blobs = await open(top.get('blobs'))
  for (const algorithm of digestAlgorithms) {
    await open(blobs.get(algorithm))
  }
  return blockKeys(found)
}

async function cidsOfFile(blocks: Blocks, root: CID, options: StoreOptions): Promise<CID[]> {
  const found: CID[] = []
  for await (const { cid } of walkBlocks(blocks, root, options)) {
    found.push(cid)
  }
  return found
}

/** Adds the blocks of a directory, which may have several, and returns its entries */
async function openDirectory(
  blocks: Blocks,
  directory: CID,
  found: CID[],
  { signal }: StoreOptions,
): Promise<Map<string, CID>> {
  const entries = new Map<string, CID>()
  const shards = new Set<string>()
  const isPart = (cid: CID): boolean => cid === directory || shards.has(cid.toString())
  const load = async (cid: CID): Promise<Uint8Array> => await readVerified(blocks, cid, { signal })
  for await (const { cid, node } of walkNodes(directory, { load, follow: isPart, signal })) {
    found.push(cid)
    for (const link of node.links) {
      if (link.to === 'shard') {
        shards.add(link.cid.toString())
      } else if (link.to === 'entry') {
        entries.set(link.name, link.cid)
      }
    }
  }
  return entries
}
