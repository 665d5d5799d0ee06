/**
 * `upkeep/backup` copies everything that the registry has at one moment, while it goes on, and fills an empty registry
 * from such a copy. It imports no other room of `upkeep`.
 *
 * - `backups.ts` (begin here): makes backups
 * - `backup-format.ts`: what a backup looks like; `write-backup.ts` and `read-backup.ts` write and read it;
 *   `backup-size.ts`: about how large it is
 * - `restorer.ts`: restores a backup, which anybody may have made; `untrusted-reader.ts`: reads its blocks
 */
import type { BlockSet } from '../../ipfs/blocks/block-set.ts'
import { blocksBelow } from '../../ipfs/dag/blocks-below.ts'
import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import { encodeCar } from '../../ipfs/car/car.ts'
import { CompleteDags } from '../../ipfs/dag/complete-dags.ts'
import type { ContentStore } from '../../ipfs/content-store.ts'
import type { Index, IndexSnapshot } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { RunLog } from '../../scheduling/run-log.ts'
import { addBackup, type LeftOut } from './write-backup.ts'
import { translateErrors, translateErrorsOf } from '../../registry/errors.ts'
import type { IndexCondition } from '../../registry/index-condition.ts'

/** Manifests and blobs that a backup leaves out: how many are named in the log */
const maxNamed = 100

export interface BackupsComponents {
  blockstore: Pick<DurableBlockstore, 'beginCollection' | 'has' | 'read'>
  content: ContentStore
  index: Pick<Index, 'snapshot'>
  condition: Pick<IndexCondition, 'requireWhole'>
  metrics: Pick<Metrics, 'lastBackup'>
  /** Remembers the backups; @default nobody does */
  copies?: Pick<RunLog<never, BackupSummary>, 'begin'> | undefined
  log: Logger
}

/** What is remembered of a backup that a client has read to its end */
export interface BackupSummary {
  root: string
  /** Bytes that were read */
  bytes: number
  /** Number of blocks that the client had already */
  without: number
  /** Number of manifests and blobs that it lacks, as blocks of theirs are missing or damaged */
  leftOut: number
}

/** A backup that is being made. Its blocks are kept until it is disposed of. */
export interface Backup extends AsyncDisposable {
  root: string
  /** About how many bytes it has */
  size: number
  /** What the backup leaves out, as blocks are missing or damaged */
  leftOut: LeftOut[]
  /** The backup as a CAR. Throws OciError where a block is missing or damaged; the CAR is incomplete then. */
  bytes: AsyncIterable<Uint8Array>
}

/** Makes backups of the registry */
export class Backups {
  readonly #components: BackupsComponents
  /** Snapshots of the backups that are being made */
  readonly #snapshots = new Set<IndexSnapshot>()

  constructor(components: BackupsComponents) {
    this.#components = components
  }

  /**
   * @param without blocks that the CAR leaves out, as an earlier backup has them
   * @throws OciError UNAVAILABLE where the index is not whole
   */
  async begin(without: BlockSet, signal: AbortSignal): Promise<Backup> {
    const { blockstore, condition, content, index, log } = this.#components
    condition.requireWhole()
    const began = performance.now()
    await using started = new AsyncDisposableStack()
    // protects the blocks that the backup stores for itself, which are in no index
    started.use(blockstore.beginCollection())
    // noted before the first await: from then on, garbage collection keeps everything that is in the snapshot
    const snapshot = started.use(index.snapshot())
    this.#snapshots.add(snapshot)
    started.defer(() => {
      this.#snapshots.delete(snapshot)
    })
    const dags = new CompleteDags(blockstore)
    const problemOf = async (root: string): Promise<string | undefined> => await dags.problemOf(root, { signal })
    const { root, leftOut, size } = await translateErrors(
      async () => await addBackup(content, snapshot, { problemOf, without, signal }),
    )
    log.info('backup begun', {
      cid: root,
      size,
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
      size,
      leftOut,
      bytes: this.#noted(encodeCar(root, translateErrorsOf(blocksBelow(blockstore, root, without, { signal }))), {
        root,
        without: without.size,
        leftOut: leftOut.length,
      }),
      [Symbol.asyncDispose]: async () => {
        await running.disposeAsync()
      },
    }
  }

  async *#noted(car: AsyncIterable<Uint8Array>, what: Omit<BackupSummary, 'bytes'>): AsyncGenerator<Uint8Array> {
    using run = this.#components.copies?.begin()
    let bytes = 0
    for await (const chunk of car) {
      bytes += chunk.byteLength
      yield chunk
    }
    this.#components.metrics.lastBackup.setToCurrentTime()
    run?.done({ ...what, bytes })
  }

  /** CIDs of roots that running backups need, with everything below, even if they were deleted from the index since */
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
