import type { Peer } from '../../ipfs/node/peer.ts'
import type { CollectionProgress, CollectionResult } from '../../upkeep/gc/garbage-collector.ts'
import type { RebuildProgress, RebuildResult } from '../../upkeep/rebuild/index-rebuilder.ts'
import type { RestoreProgress, RestoreResult } from '../../upkeep/backup/restorer.ts'
import type { FsckProgress, FsckResult } from '../../upkeep/fsck/fsck.ts'
export type { CollectionProgress, CollectionResult } from '../../upkeep/gc/garbage-collector.ts'
export type { RebuildProgress, RebuildResult } from '../../upkeep/rebuild/index-rebuilder.ts'
export type { RestoreProgress, RestoreResult } from '../../upkeep/backup/restorer.ts'
export type { FsckProgress, FsckResult } from '../../upkeep/fsck/fsck.ts'
import { ClientError } from '../errors.ts'
import { jsonOf, linesOf, responseError, type Answer, type SendInit } from '../http/request.ts'
import type { AbortOptions } from '../abort-options.ts'

const minute = 60_000
/** Names and peers are looked up in a network of which nobody knows how large it is */
const networkTimeout = 2 * minute
/** Until a backup begins: all that the index has is looked at before */
const backupTimeout = 60 * minute

/** What an appliance could not put into a backup, as it is missing or damaged */
export interface LeftOut {
  /** Manifests and blobs */
  count: number
  /** The first of them, as `<repository>@<digest>` */
  names: string[]
}

/** How an appliance is asked; a RegistryClient is one, too, but for administration */
export interface Connection {
  /** Who answers, for people */
  host: string
  request: (path: string, init?: SendInit) => Promise<Answer>
}

/** What an appliance offers beside the distribution API */
export class ApplianceClient {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /**
   * What the tags of older IPDR programs stand for too: text, a line each
   *
   * @param query `name:tag`, or without a tag for the list of tags
   * @param short the CID, else the manifest
   * @returns undefined where nobody knows the name
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
    await expectSuccess(answer, query)
    return await answer.text()
  }

  /** @throws ResponseError */
  async peers(options: AbortOptions = {}): Promise<Peer[]> {
    const { peers } = (await this.#json('peers', 'peers', options)) as { peers: Peer[] }
    return peers
  }

  /**
   * @returns the peer's id
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
   * Publishes the tags of the appliance under its IPNS name
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
   * Has garbage collected; `onProgress` is told about once a second how far it is
   *
   * @param init.grace seconds after which what nothing needs goes, where that is less than usual
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
   * Has all that is stored checked, and repaired; `onProgress` is told about once a second how far it is
   *
   * @param init.rate bytes a second that are read; 0: as many as there are; undefined: as the appliance is configured
   * @throws ResponseError, ClientError
   */
  async fsck(
    init: { repair: boolean; rate?: number | undefined },
    onProgress: (progress: FsckProgress) => void,
    options: AbortOptions = {},
  ): Promise<FsckResult> {
    return await this.#follow('fsck', 'check', { ...options, ...jsonBody(init) }, onProgress)
  }

  /**
   * Has an index restored that was lost; where it is whole, that changes nothing
   *
   * @param init.waive has it count as complete as it is
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
   * Begins a backup of all that the appliance has
   *
   * @param keys of the blocks that it leaves out
   * @returns its root, what is not in it, and the CAR
   * @throws ResponseError
   */
  async backup(
    keys: () => AsyncIterable<Uint8Array>,
    options: AbortOptions = {},
  ): Promise<{ root: string; leftOut: LeftOut; bytes: AsyncIterable<Uint8Array> }> {
    const answer = await this.#connection.request('/ipdr/v1/backup', {
      ...options,
      method: 'POST',
      headers: { 'Content-Type': 'application/vnd.ipdr.block-keys' },
      body: keys,
      timeout: backupTimeout,
    })
    await expectSuccess(answer, 'backup')
    const [count, ...names] = (answer.headers.get('X-Ipdr-Left-Out') ?? '0').split(' ')
    return {
      root: answer.headers.get('X-Ipfs-Roots') ?? '',
      leftOut: { count: Number(count), names },
      bytes: answer.body(),
    }
  }

  /**
   * Fills the appliance, which has to be empty
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

  /** Has something done that takes long, and tells how far it is */
  async #follow<Progress, Result>(
    path: string,
    what: string,
    init: SendInit,
    onProgress: (progress: Progress) => void,
  ): Promise<Result> {
    const answer = await this.#connection.request(`/ipdr/v1/${path}`, { timeout: networkTimeout, ...init })
    await expectSuccess(answer, what)
    for await (const line of linesOf(answer)) {
      const { error, progress, result } = line as { error?: string; progress?: Progress; result?: Result }
      if (error !== undefined) {
        throw new ClientError(`${what}: ${error}`)
      }
      if (progress !== undefined) {
        onProgress(progress)
      }
      if (result !== undefined) {
        return result
      }
    }
    throw new ClientError(`${this.#connection.host} did not say how the ${what} ended`)
  }

  async #json(path: string, what: string, init: SendInit): Promise<unknown> {
    const answer = await this.#connection.request(`/ipdr/v1/${path}`, { timeout: networkTimeout, ...init })
    await expectSuccess(answer, what)
    const value = await jsonOf(answer)
    if (typeof value !== 'object' || value === null) {
      throw new ClientError(`${this.#connection.host} did not answer as an IPDR appliance does`)
    }
    return value
  }
}

function jsonBody(value: unknown): SendInit {
  return {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: new TextEncoder().encode(JSON.stringify(value)),
  }
}

async function expectSuccess(answer: Answer, what: string): Promise<void> {
  if (answer.status < 200 || answer.status > 299) {
    throw await responseError(answer, what)
  }
}
