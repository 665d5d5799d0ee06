import { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import { ReadWorkers } from '../../ipfs/blockstore/read-workers.ts'
import { UncheckedBlocks } from '../../ipfs/blockstore/unchecked-blocks.ts'
import { BlockstoreContentStore } from '../../ipfs/content/blockstore-content-store.ts'
import { HashWorkers } from '../../ipfs/hashing/hash-workers.ts'
import { second, type Base } from './base.ts'
import { part, store, type Part } from './part.ts'

/** Where blocks and files lie on disk */
export interface Storage {
  blockstore: DurableBlockstore
  content: BlockstoreContentStore
  files: UncheckedBlocks
  hasher: HashWorkers
  parts: Part[]
}

export function buildStorage({ config, directory, log, metrics, storeEvents }: Base): Storage {
  const { fsync, maxBytes, minFree, verifyInterval } = config.storage
  const readers = new ReadWorkers()
  const hasher = new HashWorkers()
  const blockstore = new DurableBlockstore(directory.blocks, {
    fsync,
    maxBytes,
    minFree,
    recent: config.gc.grace * second,
    readers,
    verifiedFor: verifyInterval * second,
    onDamaged: cid => storeEvents.emit('damaged', cid),
    onFull: bytes => storeEvents.emit('full', bytes),
    onEvictable: bytes => storeEvents.emit('evictable', bytes),
    onQuarantined: path => {
      metrics.quarantinedBlocks.inc()
      log.error('damaged block taken out of the blockstore', { path })
    },
  })
  const content = new BlockstoreContentStore({ blockstore, hasher, onMissing: cid => storeEvents.emit('missing', cid) })
  return {
    blockstore,
    content,
    files: new UncheckedBlocks(directory.blocks),
    hasher,
    parts: [
      store('blockstore', blockstore),
      part('read workers', { stop: async () => await readers.stop() }),
      part('hash workers', { stop: async () => await hasher.stop() }),
    ],
  }
}
