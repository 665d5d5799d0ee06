/**
 * The administration of an appliance, as the commands see it: this file is one method for each endpoint of `/ipdr/v1`,
 * and admin-connections.ts reaches them by the socket of this machine or with the admin token. Imports the requests of
 * http/ and the types of results from upkeep.
 */
import type { Peer } from '../../ipfs/node/peer.ts'
import type { RetentionDecision, RetentionProgress, RetentionResult } from '../../upkeep/retention/retention.ts'
import type { SignatureCounts, SignatureDecision } from '../../registry/signatures/signature-report.ts'
import type { CollectionProgress, CollectionResult } from '../../upkeep/gc/garbage-collector.ts'
import type { PrefetchResult } from '../../registry/mirror/prefetch/prefetcher.ts'
import type { PrefetchProgress } from '../../registry/mirror/prefetch/prefetch-progress.ts'
import type { RebuildResult } from '../../upkeep/rebuild/index-rebuilder.ts'
import type { RebuildProgress } from '../../upkeep/rebuild/rebuild-run.ts'
import type { RestoreProgress, RestoreResult } from '../../upkeep/backup/restorer.ts'
import type { FsckProgress, FsckResult } from '../../upkeep/fsck/fsck.ts'
export type { RetentionDecision, RetentionProgress, RetentionResult } from '../../upkeep/retention/retention.ts'
export type { SignatureCounts, SignatureDecision } from '../../registry/signatures/signature-report.ts'
export type { CollectionProgress, CollectionResult } from '../../upkeep/gc/garbage-collector.ts'
export type { PrefetchResult } from '../../registry/mirror/prefetch/prefetcher.ts'
export type { PrefetchProgress } from '../../registry/mirror/prefetch/prefetch-progress.ts'
export type { RebuildResult } from '../../upkeep/rebuild/index-rebuilder.ts'
export type { RebuildProgress } from '../../upkeep/rebuild/rebuild-run.ts'
export type { RestoreProgress, RestoreResult } from '../../upkeep/backup/restorer.ts'
export type { FsckProgress, FsckResult } from '../../upkeep/fsck/fsck.ts'
import { requireStatus, type Answer } from '../../remote/http/answer.ts'
import type { SendInit } from '../../remote/http/request.ts'
import { lastOf } from './progress-lines.ts'
import { backupTimeout, networkTimeout } from '../timeouts.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import { askJson, jsonBody } from './ask-json.ts'
import type { BackupAnswer } from './backup-answer.ts'
import { HistoryClient } from './history-client.ts'

export interface ReadOnlyAnswer {
  readOnly: boolean
  /** As `Date.toISOString` writes it */
  since?: string
  reason?: string
  /** Writes that were still under way */
  pending: number
}

/** How an appliance is reached. A RegistryClient is one too, but only for what needs no admin token. */
export interface Connection {
  /** Who answers, as messages show it */
  host: string
  request: (path: string, init?: SendInit) => Promise<Answer>
}

/** A client of what an appliance offers beside the distribution API */
export class ApplianceClient {
  readonly #connection: Connection
  /** What has changed, and undo */
  readonly history: HistoryClient

  constructor(connection: Connection) {
    this.#connection = connection
    this.history = new HistoryClient(connection)
  }

  /**
   * The CID or manifest of a tag, or the tags of a repository, one a line; as older IPDR programs ask for it
   *
   * @param query `name:tag`, or a name alone for its tags
   * @param short true for the CID, false for the manifest
   * @returns undefined if the appliance does not know the name
   * @throws ResponseError
   */
  async dig(query: string, short: boolean, options: AbortOptions = {}): Promise<string | undefined> {
    const answer = await this.#connection.request(
      `/dig?${new URLSearchParams({ q: query, short: String(short) }).toString()}`,
      { ...options, timeout: networkTimeout },
    )
    if (answer.status === 404) {
      await answer.text()
      return undefined
    }
    await requireStatus(answer, query)
    return await answer.text()
  }

  /** @throws ResponseError */
  async peers(options: AbortOptions = {}): Promise<Peer[]> {
    const { peers } = (await this.#json('peers', 'peers', options)) as { peers: Peer[] }
    return peers
  }

  /**
   * Connects the appliance to a peer, and returns the peer id
   *
   * @throws ResponseError
   */
  async connect(address: string, options: AbortOptions = {}): Promise<string> {
    const { peer } = (await this.#json('peers', `connection to ${address}`, {
      ...options,
      ...jsonBody({ address }),
    })) as { peer: string }
    return peer
  }

  /** @throws ResponseError */
  async resolve(name: string, options: AbortOptions = {}): Promise<{ cid: string; path: string[] }> {
    const { cid, path = [] } = (await this.#json(
      `resolve?${new URLSearchParams({ name }).toString()}`,
      name,
      options,
    )) as { cid: string; path?: string[] | string }
    return { cid, path: Array.isArray(path) ? path : path.split('/').filter(Boolean) }
  }

  /**
   * Has the appliance publish its tags under its IPNS name
   *
   * @throws ResponseError
   */
  async publish(options: AbortOptions = {}): Promise<{ name: string; cid: string }> {
    return (await this.#json('publish', 'publication', { ...options, ...jsonBody({}) })) as {
      name: string
      cid: string
    }
  }

  /**
   * Whether the appliance takes writes; with `on`, has it refuse them or take them again
   *
   * @throws ResponseError
   */
  async readOnly(
    change: { on: boolean; reason?: string | undefined } | undefined,
    options: AbortOptions = {},
  ): Promise<ReadOnlyAnswer> {
    const request = { ...options, ...(change === undefined ? {} : jsonBody(change)) }
    return (await this.#json('read-only', 'the read-only mode', request)) as ReadOnlyAnswer
  }

  /**
   * Has the appliance read rules, users and keys, and returns why it can't use them; undefined: they are in force
   *
   * @throws ResponseError
   */
  async reloadAccess(options: AbortOptions = {}): Promise<{ problem?: string }> {
    return (await this.#json('access', 'the access rules', { ...options, ...jsonBody({}) })) as { problem?: string }
  }

  /**
   * Runs a garbage collection; `onProgress` is called about once a second
   *
   * @param init.grace seconds for which garbage is kept, if that is less than configured
   * @throws ResponseError, ClientError
   */
  async collect(
    init: { dryRun: boolean; grace?: number | undefined },
    onProgress: (progress: CollectionProgress) => void,
    options: AbortOptions = {},
  ): Promise<CollectionResult> {
    return await this.#follow('gc', 'garbage collection', { ...options, ...jsonBody(init) }, onProgress)
  }

  /**
   * Has the appliance delete what its rules let go; `onProgress` is called about once a second
   *
   * @param onDecisions told of what becomes of tags and manifests, and why
   * @throws ResponseError, ClientError
   */
  async retain(
    init: { dryRun: boolean },
    onProgress: (progress: RetentionProgress) => void,
    onDecisions: (decisions: readonly RetentionDecision[]) => void,
    options: AbortOptions = {},
  ): Promise<RetentionResult> {
    return await this.#follow('retention', 'retention', { ...options, ...jsonBody(init) }, onProgress, onDecisions)
  }

  /**
   * What the policies about signed images refuse and let through; `onProgress` is called about once a second
   *
   * @param onDecisions told of each tag that a policy is about
   * @throws ResponseError, ClientError
   */
  async signatures(
    onProgress: (progress: SignatureCounts) => void,
    onDecisions: (decisions: readonly SignatureDecision[]) => void,
    options: AbortOptions = {},
  ): Promise<SignatureCounts> {
    return await this.#follow('signatures', 'signatures', { ...options, ...jsonBody({}) }, onProgress, onDecisions)
  }

  /**
   * Runs fsck: checks everything that is stored, and repairs it; `onProgress` is called about once a second
   *
   * @param init.rate bytes to read a second; 0 means unlimited, undefined means as configured
   * @throws ResponseError, ClientError
   */
  async fsck(
    init: { repair: boolean; rate?: number | undefined },
    onProgress: (progress: FsckProgress) => void,
    options: AbortOptions = {},
  ): Promise<FsckResult> {
    return await this.#follow('fsck', 'fsck', { ...options, ...jsonBody(init) }, onProgress)
  }

  /**
   * Rebuilds an index that was lost, from the blocks and tags on disk; an index that is complete stays as it is
   *
   * @param init.waive declares the index complete as it is, so that garbage collection deletes what it does not know
   * @throws ResponseError, ClientError
   */
  async rebuild(
    init: { waive: boolean },
    onProgress: (progress: RebuildProgress) => void,
    options: AbortOptions = {},
  ): Promise<RebuildResult> {
    return await this.#follow('rebuild', 'rebuild', { ...options, ...jsonBody(init) }, onProgress)
  }

  /**
   * Has a mirror fetch images of its upstreams; `onProgress` is called about once a second. It ends with the signal.
   *
   * @param init.platforms such as `linux/amd64`, or `all`; undefined means as the server is configured
   * @throws ResponseError, ClientError
   */
  async prefetch(
    init: { names: readonly string[]; platforms?: readonly string[] | undefined },
    onProgress: (progress: PrefetchProgress) => void,
    options: AbortOptions = {},
  ): Promise<PrefetchResult> {
    return await this.#follow('prefetch', 'prefetch', { ...options, ...jsonBody(init) }, onProgress)
  }

  /**
   * Begins a backup of everything that the appliance has
   *
   * @param keys of the blocks to leave out, as an earlier backup has them
   * @throws ResponseError
   */
  async backup(keys: () => AsyncIterable<Uint8Array>, options: AbortOptions = {}): Promise<BackupAnswer> {
    const answer = await this.#connection.request('/ipdr/v1/backup', {
      ...options,
      method: 'POST',
      headers: { 'Content-Type': 'application/vnd.ipdr.block-keys' },
      body: keys,
      timeout: backupTimeout,
    })
    await requireStatus(answer, 'backup')
    const [count, ...names] = (answer.headers.get('X-Ipdr-Left-Out') ?? '0').split(' ')
    const size = Number(answer.headers.get('X-Ipdr-Bytes') ?? NaN)
    return {
      size: Number.isSafeInteger(size) ? size : undefined,
      root: answer.headers.get('X-Ipfs-Roots') ?? '',
      leftOut: { count: Number(count), names },
      bytes: answer.body(),
    }
  }

  /**
   * Fills an empty appliance from a backup
   *
   * @param car makes the bytes of a CAR file
   *
   * @throws ResponseError, ClientError
   */
  async restore(
    car: () => AsyncIterable<Uint8Array>,
    onProgress: (progress: RestoreProgress) => void,
    options: AbortOptions = {},
  ): Promise<RestoreResult> {
    const init = { ...options, method: 'POST', headers: { 'Content-Type': 'application/vnd.ipld.car' }, body: car }
    return await this.#follow('restore', 'restore', init, onProgress)
  }

  /** Has the appliance do something that takes long, and passes on how far it is */
  async #follow<Progress, Result, Item = never>(
    path: string,
    what: string,
    init: SendInit,
    onProgress: (progress: Progress) => void,
    onItems?: (items: readonly Item[]) => void,
  ): Promise<Result> {
    const answer = await this.#connection.request(`/ipdr/v1/${path}`, { timeout: networkTimeout, ...init })
    await requireStatus(answer, what)
    return await lastOf<Progress, Result, Item>(answer, what, { host: this.#connection.host, onProgress, onItems })
  }

  async #json(path: string, what: string, init: SendInit): Promise<unknown> {
    return await askJson(this.#connection, path, what, init)
  }
}
