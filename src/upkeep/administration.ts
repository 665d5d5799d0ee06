/**
 * `src/upkeep` keeps a registry in order: what somebody does who looks after repositories (`maintenance/`), deletion by
 * rules (`retention/`), garbage collection (`gc/`), checks and repairs (`fsck/`), a lost index (`rebuild/`), undo
 * (`history/`) and copies (`backup/`), and tells how it is (`status/`). Each room may import those after it:
 * `maintenance`, `status`, `retention`, `fsck`, `gc`, `rebuild`, `history`, `backup`. The folder may import `access`,
 * `registry`, `ipfs`, `oci`, `scheduling` and types of `index`; it knows neither HTTP nor the configuration.
 *
 * This file is the place to begin: everything that an administrator can ask for passes through it, and leads to one
 * room. What others may do passes through `maintenance/maintenance.ts`. Both throw only OciError.
 */
import { trusted } from '../access/caller.ts'
import { parseRoot } from '../oci/cid.ts'
import { OciError } from '../oci/errors.ts'
import { readBlockSet } from '../ipfs/blocks/read-block-set.ts'
import type { AccessFiles } from '../access/files/access-files.ts'
import type { CarSource } from '../ipfs/car/car.ts'
import type { Peer } from '../ipfs/node/peer.ts'
import type { Page } from '../oci/pagination.ts'
import { parseName, parseReference, parseTag } from '../oci/reference.ts'
import type { Backup, Backups } from './backup/backups.ts'
import { translateErrors } from '../registry/errors.ts'
import type { CollectionResult, CollectOptions, GarbageCollector } from './gc/garbage-collector.ts'
import type { Change, Differences, HistoryLog, ListInit } from './history/history-log.ts'
import type { PastTagList, PastTags } from './history/past-tags.ts'
import type { Undo, Undone } from './history/undo.ts'
import type { IndexRebuilder, RebuildResult } from './rebuild/index-rebuilder.ts'
import type { RebuildProgress } from './rebuild/rebuild-run.ts'
import type { Prefetcher, PrefetchOptions, PrefetchResult } from '../registry/mirror/prefetch/prefetcher.ts'
import type { ReadOnlyMode, ReadOnlyState } from '../registry/policies/read-only-mode.ts'
import type { Registry } from '../registry/repositories/registry.ts'
import type { RequestOptions } from '../registry/repository.ts'
import type { ReportOptions, SignatureCounts } from '../registry/signatures/signature-report.ts'
import type { RestoreOptions, Restorer, RestoreResult } from './backup/restorer.ts'
import type { Retention, RetentionOptions, RetentionResult } from './retention/retention.ts'
import type { Fsck, FsckOptions, FsckResult } from './fsck/fsck.ts'

export interface AdministrationComponents {
  registry: Pick<Registry, 'repository'>
  accessFiles: Pick<AccessFiles, 'reload'>
  /** Undefined where no image must be signed */
  signatureReport?: ((options: ReportOptions) => Promise<SignatureCounts>) | undefined
  node: {
    peers: () => Peer[]
    connect: (address: string, options?: RequestOptions) => Promise<string>
  }
  names: { resolve: (name: string, options?: RequestOptions) => Promise<{ cid: string; path: string[]; ttl: number }> }
  publisher: { publish: () => Promise<{ name: string; cid: string }> }
  collector: Pick<GarbageCollector, 'collect'>
  retention: Pick<Retention, 'run'>
  fsck: Pick<Fsck, 'run'>
  backups: Pick<Backups, 'begin'>
  restorer: Pick<Restorer, 'restore'>
  rebuilder: Pick<IndexRebuilder, 'rebuild' | 'waive'>
  /** Undefined where no other registry is mirrored */
  mirroring?: { prefetcher: Pick<Prefetcher, 'prefetch'> } | undefined
  undo: Pick<Undo, 'forget' | 'undo'>
  historyLog: Pick<HistoryLog, 'diff' | 'list' | 'stateAt'>
  pastTags: Pick<PastTags, 'list'>
  readOnly: Pick<ReadOnlyMode, 'begin' | 'state' | 'turnOff' | 'turnOn'>
}

/** A state by its number, or that which was in force at a time */
export type PointInTime = number | Date

/** What an administrator asks of an appliance, beside images */
export class Administration {
  readonly #components: AdministrationComponents

  constructor(components: AdministrationComponents) {
    this.#components = components
  }

  peers(): Peer[] {
    return this.#components.node.peers()
  }

  async reloadAccess(): Promise<string | undefined> {
    return await this.#components.accessFiles.reload()
  }

  /** @returns the id of the peer to which the node is connected now */
  async connect(address: string, options: RequestOptions = {}): Promise<string> {
    try {
      return await this.#components.node.connect(address, options)
    } catch (err) {
      options.signal?.throwIfAborted()
      const { name, message } = err as Error
      const own = name === 'NetworkConfigError' || name === 'NodeOfflineError'
      throw new OciError(name === 'NetworkConfigError' ? 'REQUEST_INVALID' : 'UNAVAILABLE', {
        detail: { reason: own ? message : `no connection to ${address.slice(0, 200)}` },
        cause: err,
      })
    }
  }

  /**
   * Finds out what a name stands for: an IPNS name or a domain, or else `<repository>[:<tag>]` in this registry or its
   * resolvers
   *
   * @returns `ttl` in seconds; 0 where the answer may change at any time
   */
  async resolve(name: string, options: RequestOptions = {}): Promise<{ cid: string; path: string[]; ttl: number }> {
    const isName = isKey(name.split('/')[0]!) || /^\/?ip[fn]s\//.test(name)
    try {
      return isName ? await this.#components.names.resolve(name, options) : await this.#resolveTag(name, options)
    } catch (err) {
      const code = nameErrors[(err as Error).name]
      throw code === undefined ? err : new OciError(code, { detail: { reason: (err as Error).message }, cause: err })
    }
  }

  /** A name with a dot is taken for a domain where there is no repository of that name */
  async #resolveTag(name: string, options: RequestOptions): Promise<{ cid: string; path: string[]; ttl: number }> {
    const colon = name.lastIndexOf(':')
    const [repository, reference] = colon === -1 ? [name, 'latest'] : [name.slice(0, colon), name.slice(colon + 1)]
    try {
      const { root } = await (await this.#components.registry.repository(parseName(repository), trusted)).manifest(
        parseReference(reference),
        options,
      )
      if (root === undefined) {
        throw new OciError('MANIFEST_UNKNOWN', { detail: { name: repository } })
      }
      return { cid: root, path: [], ttl: 0 }
    } catch (err) {
      if (/^[^/:]+\.[^/:]+$/.test(name)) {
        return await this.#components.names.resolve(name, options)
      }
      throw err
    }
  }

  /** Collects garbage in a cycle that begins after the call */
  async collect(options: CollectOptions = {}): Promise<CollectionResult> {
    return await translateErrors(async () => await this.#components.collector.collect(options))
  }

  /** Deletes what the rules of the configuration let go, after the runs that were requested before */
  async retain(options: RetentionOptions = {}): Promise<RetentionResult> {
    return await translateErrors(async () => await this.#components.retention.run(options))
  }

  /** What the policies about signed images refuse and let through */
  async signatures(options: ReportOptions = {}): Promise<SignatureCounts> {
    const { signatureReport } = this.#components
    if (signatureReport === undefined) {
      throw new OciError('UNSUPPORTED', { detail: { reason: 'the configuration has no policy onlySigned' } })
    }
    return await translateErrors(async () => await signatureReport(options))
  }

  /** Checks everything that is stored, after the runs that were requested before */
  async fsck(options: FsckOptions = {}): Promise<FsckResult> {
    return await translateErrors(async () => await this.#components.fsck.run(options))
  }

  /**
   * Fetches images of other registries before a client asks for them
   *
   * @param names such as `docker.io/library/alpine:3`
   */
  async prefetch(names: readonly string[], options: PrefetchOptions): Promise<PrefetchResult> {
    const { mirroring } = this.#components
    if (mirroring === undefined) {
      throw new OciError('UNSUPPORTED', { detail: { reason: 'the configuration lists no upstreams' } })
    }
    return await translateErrors(async () => await mirroring.prefetcher.prefetch(names, options))
  }

  /** Rebuilds a lost index */
  async rebuild(options: { onProgress?: (progress: RebuildProgress) => void } = {}): Promise<RebuildResult> {
    using _write = this.#components.readOnly.begin()
    return await translateErrors(async () => await this.#components.rebuilder.rebuild(options))
  }

  /** Has a lost index count as whole as it is */
  async waiveRebuild(): Promise<void> {
    using _write = this.#components.readOnly.begin()
    await translateErrors(async () => {
      await this.#components.rebuilder.waive()
    })
  }

  /** @param keys of the blocks that the backup leaves out, as {@link readBlockSet} reads them */
  async backup(keys: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Backup> {
    return await translateErrors(async () => await this.#components.backups.begin(await readBlockSet(keys), signal))
  }

  /** Fills an empty registry from a backup */
  async restore(source: CarSource, options: RestoreOptions): Promise<RestoreResult> {
    using _write = this.#components.readOnly.begin()
    return await translateErrors(async () => await this.#components.restorer.restore(source, options))
  }

  /**
   * The changes that can be undone, the newest first
   *
   * @param init.name `<repository>` or `<repository>:<tag>`; @default all
   */
  async history({ name, ...init }: { name?: string | undefined } & Pick<ListInit, 'before' | 'limit'>): Promise<{
    changes: Change[]
    more: boolean
  }> {
    const target = name === undefined ? {} : parseTarget(name)
    return await translateErrors(async () => await this.#components.historyLog.list({ ...init, ...target }))
  }

  /**
   * What differs between two states
   *
   * @param init.to @default the state of now
   */
  async diff({
    from,
    name,
    to,
  }: {
    from: PointInTime
    to?: PointInTime | undefined
    name?: string | undefined
  }): Promise<Differences> {
    const repository = name === undefined ? undefined : parseName(name)
    return await translateErrors(async () => {
      const [first, second] = [await this.#stateAt(from), to === undefined ? undefined : await this.#stateAt(to)]
      return await this.#components.historyLog.diff(first, second, repository)
    })
  }

  /** Makes `<repository>` or `<repository>:<tag>` as it was, by default before its last change */
  async undo(name: string, to?: PointInTime): Promise<Undone> {
    const target = parseTarget(name)
    using _write = this.#components.readOnly.begin()
    return await translateErrors(async () => {
      const state = to === undefined ? undefined : await this.#stateAt(to)
      return await this.#components.undo.undo({ ...target, to: state })
    })
  }

  /** The tags that `<repository>` had then, or whether it had `<repository>:<tag>` */
  async tagsAt(name: string, at: PointInTime, page: Page): Promise<PastTagList> {
    const target = parseTarget(name)
    return await translateErrors(
      async () => await this.#components.pastTags.list(await this.#stateAt(at), { ...target, page }),
    )
  }

  async #stateAt(point: PointInTime): Promise<number> {
    return point instanceof Date ? await this.#components.historyLog.stateAt(point) : point
  }

  /**
   * Has the history of a repository forgotten, so that nothing of it can be undone
   *
   * @returns how many changes were forgotten
   */
  async forget(name: string): Promise<number> {
    const repository = parseName(name)
    using _write = this.#components.readOnly.begin()
    return await translateErrors(async () => await this.#components.undo.forget(repository))
  }

  /** Undefined where the registry takes writes */
  readOnly(): ReadOnlyState | undefined {
    return this.#components.readOnly.state
  }

  /**
   * Has the registry refuse writes, or take them again
   *
   * @returns how many writes were still under way after ten seconds
   */
  async setReadOnly(on: boolean, reason?: string): Promise<number> {
    const { readOnly } = this.#components
    return on ? await readOnly.turnOn(reason) : await readOnly.turnOff()
  }

  /** Publishes all tags as they are now */
  async publish(): Promise<{ name: string; cid: string }> {
    return await translateErrors(async () => await this.#components.publisher.publish())
  }
}

/** @throws OciError NAME_INVALID or TAG_INVALID */
function parseTarget(name: string): { repository: string; tag: string | undefined } {
  const colon = name.indexOf(':')
  return colon === -1
    ? { repository: parseName(name), tag: undefined }
    : { repository: parseName(name.slice(0, colon)), tag: parseTag(name.slice(colon + 1)) }
}

/** Whether a text is an IPNS key in any form, or a peer id */
function isKey(text: string): boolean {
  return parseRoot(`/ipns/${text}`)?.name?.includes('.') === false
}

const nameErrors: Record<string, 'REQUEST_INVALID' | 'NAME_UNKNOWN' | 'UNAVAILABLE'> = {
  InvalidNameError: 'REQUEST_INVALID',
  NameNotFoundError: 'NAME_UNKNOWN',
  UnavailableError: 'UNAVAILABLE',
}
