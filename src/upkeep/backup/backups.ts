import type { BlockSet } from '../../ipfs/blocks/block-set.ts'
import { blocksBelow } from '../../ipfs/dag/blocks-below.ts'
import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import { encodeCar } from '../../ipfs/car/car.ts'
import { CompleteDags } from '../../ipfs/dag/complete-dags.ts'
import type { ContentStore } from '../../ipfs/content-store.ts'
import type { Index, IndexSnapshot } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import { addBackup, type LeftOut } from './backup-format.ts'
import { translateErrors } from '../../registry/errors.ts'
import type { IndexCondition } from '../../registry/index-condition.ts'

/** Of what a backup leaves out, so much is named in the log */
const maxNamed = 100

export interface BackupsComponents {
  blockstore: Pick<DurableBlockstore, 'beginCollection' | 'has' | 'read'>
  content: ContentStore
  index: Pick<Index, 'snapshot'>
  condition: Pick<IndexCondition, 'requireWhole'>
  log: Logger
}

/** A backup that is being made; all that it needs stays until it is disposed of */
export interface Backup extends AsyncDisposable {
  root: string
  /** What is not in it, as blocks are missing or damaged */
  leftOut: LeftOut[]
  /** A CAR; throws OciError where a block is missing or damaged, and ends short then */
  bytes: AsyncIterable<Uint8Array>
}

/** Copies of all that the registry has at one moment, while it goes on */
export class Backups {
  readonly #components: BackupsComponents
  /** Of backups that are being made */
  readonly #snapshots = new Set<IndexSnapshot>()

  constructor(components: BackupsComponents) {
    this.#components = components
  }

  /**
   * @param without what the CAR leaves out, as an earlier one has it
   * @throws OciError UNAVAILABLE where the index was lost
   */
  async begin(without: BlockSet, signal: AbortSignal): Promise<Backup> {
    const { blockstore, condition, content, index, log } = this.#components
    condition.requireWhole()
    const began = performance.now()
    await using started = new AsyncDisposableStack()
    // what the backup stores for itself is in no index
    started.use(blockstore.beginCollection())
    // before anything is awaited: what it has is here as long as garbage collection knows of it
    const snapshot = started.use(index.snapshot())
    this.#snapshots.add(snapshot)
    started.defer(() => {
      this.#snapshots.delete(snapshot)
    })
    const dags = new CompleteDags(blockstore)
    const problemOf = async (root: string): Promise<string | undefined> => await dags.problemOf(root, { signal })
    const { root, leftOut } = await translateErrors(
      async () => await addBackup(content, snapshot, { problemOf, signal }),
    )
    log.info('backup begun', {
      cid: root,
      without: without.size,
      leftOut: leftOut.length,
      ms: Math.round(performance.now() - began),
    })
    leftOut.slice(0, maxNamed).forEach(({ repository, digest, reason }) => {
      log.error('not in the backup', { repository, digest, reason })
    })
    const running = started.move()
    return {
      root,
      leftOut,
      bytes: encodeCar(root, translated(blocksBelow(blockstore, root, without, { signal }))),
      [Symbol.asyncDispose]: async () => {
        await running.disposeAsync()
      },
    }
  }

  /** CIDs of which all below is needed, though it may have gone from the index since */
  async *roots(): AsyncGenerator<string> {
    for (const snapshot of this.#snapshots) {
      for await (const repository of snapshot.repositories()) {
        for await (const { record } of snapshot.manifests(repository)) {
          yield record.cid
          yield record.root
        }
        for await (const { record } of snapshot.blobs(repository)) {
          yield record.cid
        }
      }
    }
  }
}

async function* translated<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (
      let next = await translateErrors(async () => await iterator.next());
      next.done !== true;
      next = await translateErrors(async () => await iterator.next())
    ) {
      yield next.value
    }
  } finally {
    await iterator.return?.()
  }
}
