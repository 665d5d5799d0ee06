/**
 * A kubo elsewhere, over its RPC API, as a place to store and read content.
 *
 * - `kubo-content-store.ts` (here): files, directories, pins and names in a kubo; `kubo-blockstore.ts`: its blocks
 * - `remote-pins.ts`: has a kubo pin every image that is pushed here
 *
 * Imports all other folders of `src/ipfs`. Begin here.
 */
import { BlockstoreContentStore } from '../content/blockstore-content-store.ts'
import type { StoreOptions } from '../content-store.ts'
import { UnavailableError } from '../errors.ts'
import { fetchBytes } from '../retrieval/fetch-bytes.ts'
import { KuboBlockstore } from './kubo-blockstore.ts'

const second = 1000
const pingTimeout = 5 * second
const resolveTimeout = 60 * second
/** kubo looks at each block of an image when it pins it */
const pinTimeout = 600 * second

/**
 * Files and directories in a kubo. Their blocks are made here, so the same content has the same CID wherever it is
 * stored.
 */
export class KuboContentStore extends BlockstoreContentStore {
  readonly #api: URL

  /** @param options.signal aborts every call */
  constructor(api: URL, options: StoreOptions = {}) {
    super({ blockstore: new KuboBlockstore(api, options), isKnown: false })
    this.#api = api
  }

  /** @throws UnavailableError where no kubo answers at the address */
  async ping(options: StoreOptions = {}): Promise<void> {
    await this.#call('version', { ...options, timeout: pingTimeout })
  }

  /** Multiaddrs at which the kubo can be dialled, each with its peer ID */
  async addresses(options: StoreOptions = {}): Promise<string[]> {
    const { Addresses: addresses } = (await this.#call('id', { ...options, timeout: pingTimeout })) as {
      Addresses: string[] | null
    }
    return addresses ?? []
  }

  /** Has the kubo dial another node */
  async connect(address: string, options: StoreOptions = {}): Promise<void> {
    await this.#call(`swarm/connect?arg=${encodeURIComponent(address)}`, { ...options, timeout: resolveTimeout })
  }

  /** Pins a CID with everything below it, so that kubo's garbage collection keeps it */
  async pin(cid: string, options: StoreOptions = {}): Promise<void> {
    await this.#call(`pin/add?arg=${encodeURIComponent(cid)}`, { ...options, timeout: pinTimeout })
  }

  /**
   * Resolves an IPNS name, which may be a key or a domain
   *
   * @returns a path such as `/ipfs/<cid>`
   * @throws UnavailableError where it can't be resolved
   */
  async resolveName(name: string, options: StoreOptions = {}): Promise<string> {
    const { Path: path } = (await this.#call(`name/resolve?arg=${encodeURIComponent(`/ipns/${name}`)}&recursive=true`, {
      ...options,
      timeout: resolveTimeout,
    })) as { Path: string }
    return path
  }

  async #call(command: string, options: StoreOptions & { timeout: number }): Promise<unknown> {
    const bytes = await fetchBytes(new URL(`api/v0/${command}`, this.#api), { method: 'POST', ...options })
    try {
      return JSON.parse(Buffer.from(bytes).toString())
    } catch (err) {
      throw new UnavailableError(`${this.#api.host} answered, but is not a kubo`, { cause: err })
    }
  }
}
