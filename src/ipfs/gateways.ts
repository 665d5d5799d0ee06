import { setTimeout as sleep } from 'node:timers/promises'
import { equals } from 'multiformats/bytes'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../log.ts'
import { DamagedBlockError, UnavailableError } from './errors.ts'
import type { IpfsNode } from './node.ts'

/** Connected peers get this long to deliver a block before gateways are asked as well; milliseconds */
const headStart = 1000
/** As large as blocks that peers exchange may be */
const maxBlockBytes = 2 * 1024 * 1024

export interface GatewaysComponents {
  /** Knows how to hash */
  node: Pick<IpfsNode, 'helia'>
  log: Logger
}

/**
 * HTTP gateways that send single blocks: nothing that they say is believed
 *
 * @see https://specs.ipfs.tech/http-gateways/trustless-gateway/
 */
export class Gateways {
  readonly #components: GatewaysComponents
  readonly #urls: readonly string[]

  /** @param urls as in `https://gateway.example` */
  constructor (components: GatewaysComponents, urls: readonly string[]) {
    this.#components = components
    this.#urls = urls
  }

  /**
   * Asks one gateway after the other
   *
   * @throws UnavailableError where none delivers the block
   */
  async fetch (cid: CID, { signal, peersAreConnected }: { signal: AbortSignal, peersAreConnected: boolean }): Promise<Uint8Array> {
    if (this.#urls.length > 0 && peersAreConnected) {
      await sleep(headStart, undefined, { signal })
    }
    const failures: unknown[] = []
    for (const gateway of this.#urls) {
      try {
        const block = await fetchBlock(gateway, cid, signal)
        await this.#verify(cid, block)
        return block
      } catch (err) {
        signal.throwIfAborted()
        this.#components.log.warn('a gateway did not deliver a block', { gateway, cid: cid.toString(), err })
        failures.push(err)
      }
    }
    throw new UnavailableError('No gateway delivered the block', { cause: new AggregateError(failures) })
  }

  async #verify (cid: CID, block: Uint8Array): Promise<void> {
    const hasher = await this.#components.node.helia.getHasher(cid.multihash.code)
    const { digest } = await hasher.digest(block)
    if (!equals(digest, cid.multihash.digest)) {
      throw new DamagedBlockError(`The gateway sent other bytes than ${cid.toString()}`)
    }
  }
}

async function fetchBlock (gateway: string, cid: CID, signal: AbortSignal): Promise<Uint8Array> {
  const base = gateway.endsWith('/') ? gateway : `${gateway}/`
  const response = await fetch(new URL(`ipfs/${cid.toString()}?format=raw`, base), { signal, headers: { Accept: 'application/vnd.ipld.raw' } })
  if (!response.ok || response.body === null) {
    await response.body?.cancel()
    throw new UnavailableError(`The gateway answered ${response.status}`)
  }
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body) {
    size += chunk.byteLength
    // leaving the loop cancels the response
    if (size > maxBlockBytes) {
      throw new DamagedBlockError('The gateway sent more than a block')
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
