import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import type { BlockstoreContentStoreComponents } from '../content/blockstore-content-store.ts'
import type { StoreOptions } from '../content-store.ts'
import { DamagedBlockError } from '../errors.ts'
import { fetchBytes } from '../retrieval/fetch-bytes.ts'
import { verifyBlock } from '../blocks/verify-block.ts'

type PartOfBlockstore = BlockstoreContentStoreComponents['blockstore']

/**
 * The blocks of a kubo, over its RPC API. It fetches blocks that it does not have from its peers.
 *
 * @see https://docs.ipfs.tech/reference/kubo/rpc/#api-v0-block-put
 */
export class KuboBlockstore implements PartOfBlockstore {
  readonly #api: URL
  readonly #signal: AbortSignal | undefined

  /** @param signal aborts every call, in addition to the signals of the calls */
  constructor(api: URL, { signal }: StoreOptions = {}) {
    this.#api = api
    this.#signal = signal
  }

  async read(cid: CID, options: StoreOptions = {}): Promise<Uint8Array> {
    const bytes = await fetchBytes(new URL(`api/v0/block/get?arg=${cid.toString()}`, this.#api), {
      method: 'POST',
      signal: this.#either(options),
    })
    await verifyBlock(cid, bytes)
    return bytes
  }

  async *get(cid: CID, options: StoreOptions = {}): AsyncGenerator<Uint8Array> {
    yield await this.read(cid, options)
  }

  async has(cid: CID, options: StoreOptions = {}): Promise<boolean> {
    await this.read(cid, options)
    return true
  }

  readonly put: PartOfBlockstore['put'] = async (cid, block, options = {}) => {
    const codec = cid.code === raw.code ? 'raw' : 'dag-pb'
    const url = new URL(`api/v0/block/put?cid-codec=${codec}&mhtype=sha2-256&allow-big-block=true`, this.#api)
    const body = new FormData()
    // a Blob makes a copy of the bytes
    body.set('data', new Blob([block as Uint8Array<ArrayBuffer>]))
    const answer = await fetchBytes(url, { method: 'POST', signal: this.#either(options), body })
    const { Key: key } = JSON.parse(Buffer.from(answer).toString()) as { Key: string }
    const stored = CID.parse(key).toV1()
    if (stored.toString() !== cid.toV1().toString()) {
      throw new DamagedBlockError(`${this.#api.host} stored ${cid.toString()} as ${stored.toString()}`)
    }
    return cid
  }

  async sync(): Promise<void> {}

  #either({ signal }: StoreOptions): AbortSignal | undefined {
    const signals = [signal, this.#signal].filter(signal => signal !== undefined)
    return signals.length === 0 ? undefined : AbortSignal.any(signals)
  }
}
