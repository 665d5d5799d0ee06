import { setTimeout as sleep } from 'node:timers/promises'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../log.ts'
import { UnavailableError } from '../errors.ts'
import { fetchGatewayBlock } from './gateway-blocks.ts'
import { parseHttpAddress } from './http-address.ts'

/** Where peers are connected, they get this long to deliver a block before a gateway is asked; milliseconds */
const headStart = 1000

/** The HTTP gateways that are asked for what no peer delivers */
export class Gateways {
  readonly #log: Logger
  readonly #gateways: URL[]

  /** @param urls such as `https://gateway.example` */
  constructor(components: { log: Logger }, urls: readonly string[]) {
    this.#log = components.log
    this.#gateways = urls.map(parseHttpAddress)
  }

  get isEmpty(): boolean {
    return this.#gateways.length === 0
  }

  /**
   * Asks one gateway after the other for a block
   *
   * @throws UnavailableError where none delivers the block
   */
  async fetch(
    cid: CID,
    { signal, peersAreConnected }: { signal: AbortSignal; peersAreConnected: boolean },
  ): Promise<Uint8Array> {
    if (this.#gateways.length > 0 && peersAreConnected) {
      await sleep(headStart, undefined, { signal })
    }
    const failures: unknown[] = []
    for (const gateway of this.#gateways) {
      try {
        return await fetchGatewayBlock(gateway, cid, { signal })
      } catch (err) {
        signal.throwIfAborted()
        this.#log.warn('gateway did not deliver a block', { gateway: gateway.href, cid: cid.toString(), err })
        failures.push(err)
      }
    }
    throw new UnavailableError('No gateway delivered the block', { cause: new AggregateError(failures) })
  }
}
