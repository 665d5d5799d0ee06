import { BlockstoreContentStore } from '../content/blockstore-content-store.ts'
import type { StoreOptions } from '../content-store.ts'
import { UnavailableError } from '../errors.ts'
import { fetchBytes } from '../retrieval/fetch-bytes.ts'
import { KuboBlockstore } from './kubo-blockstore.ts'

const second = 1000
const pingTimeout = 5 * second
const resolveTimeout = 60 * second
/** Pinning looks at every block of an image, all of which are there */
const pinTimeout = 600 * second

/** Files and directories in a kubo, built here block by block: the same content has the same CID wherever it is stored */
export class KuboContentStore extends BlockstoreContentStore {
  readonly #api: URL

  /** @param signal of everything that is done through it */
  constructor(api: URL, options: StoreOptions = {}) {
    super({ blockstore: new KuboBlockstore(api, options), isKnown: false })
    this.#api = api
  }

  /** @throws UnavailableError where no kubo answers */
  async ping(options: StoreOptions = {}): Promise<void> {
    await this.#call('version', { ...options, timeout: pingTimeout })
  }

  /** Multiaddrs at which its node can be dialled, each with the peer id */
  async addresses(options: StoreOptions = {}): Promise<string[]> {
    const { Addresses: addresses } = (await this.#call('id', { ...options, timeout: pingTimeout })) as {
      Addresses: string[] | null
    }
    return addresses ?? []
  }

  /** Has its node dial another one */
  async connect(address: string, options: StoreOptions = {}): Promise<void> {
    await this.#call(`swarm/connect?arg=${encodeURIComponent(address)}`, { ...options, timeout: resolveTimeout })
  }

  /** Keeps everything below a CID from the garbage collector */
  async pin(cid: string, options: StoreOptions = {}): Promise<void> {
    await this.#call(`pin/add?arg=${encodeURIComponent(cid)}`, { ...options, timeout: pinTimeout })
  }

  /**
   * Follows an IPNS name, be it a key or a domain
   *
   * @returns a path as in `/ipfs/<cid>`
   * @throws UnavailableError where nobody knows it
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
      throw new UnavailableError(`${this.#api.host} answered, but is no kubo`, { cause: err })
    }
  }
}
