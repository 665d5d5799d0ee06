import { setTimeout as sleep } from 'node:timers/promises'
import { CID } from 'multiformats/cid'
import type { Logger } from '../log.ts'
import type { IpfsNode } from './node.ts'

/** One announcement may take this long: it walks the DHT; milliseconds */
const provideTimeout = 60_000
/** Between two looks for peers while there is none, or after a failure */
const retryInterval = 5000
/** A root that was announced is not announced again before; milliseconds */
const announcementAge = 12 * 60 * 60 * 1000
/** Later roots push out the oldest of those that could not be announced yet */
const maxRoots = 10_000

export interface ProviderComponents {
  node: Pick<IpfsNode, 'helia' | 'peerCount'>
  log: Logger
}

/**
 * Tells the DHT which image roots are here, in the background, one after the other, as soon as there is a peer to tell. The DHT's own
 * reprovider repeats it as long as the node runs. Only the profiles with a DHT have something to tell it to.
 */
export class Provider {
  readonly #components: ProviderComponents
  readonly #waiting = new Set<string>()
  readonly #announced = new Map<string, number>()
  #controller: AbortController | undefined
  #running: Promise<void> = Promise.resolve()
  #wake: () => void = () => {}

  constructor (components: ProviderComponents) {
    this.#components = components
  }

  async start (): Promise<void> {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      this.#running = this.#run(this.#controller.signal)
    }
  }

  async stop (): Promise<void> {
    this.#controller?.abort()
    this.#controller = undefined
    this.#wake()
    await this.#running
  }

  /** @param root CID of an image root that is here */
  provide (root: string): void {
    if (Date.now() - (this.#announced.get(root) ?? 0) < announcementAge) {
      return
    }
    this.#waiting.add(root)
    dropOldest(this.#waiting)
    this.#wake()
  }

  async #run (signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const [root] = this.#waiting
      if (root === undefined) {
        await new Promise<void>(resolve => { this.#wake = resolve })
      } else if (this.#components.node.peerCount === 0 || !await this.#announce(root, signal)) {
        await sleep(retryInterval, undefined, { signal, ref: false }).catch(() => {})
      }
    }
  }

  /** @returns whether it was announced */
  async #announce (root: string, signal: AbortSignal): Promise<boolean> {
    this.#waiting.delete(root)
    try {
      await this.#components.node.helia.routing.provide(CID.parse(root), { signal: AbortSignal.any([signal, AbortSignal.timeout(provideTimeout)]) })
      this.#announced.delete(root)
      this.#announced.set(root, Date.now())
      dropOldest(this.#announced)
      this.#components.log.debug('image root announced', { cid: root })
      return true
    } catch (err) {
      this.#waiting.add(root)
      this.#components.log.debug('image root not announced', { cid: root, err })
      return false
    }
  }
}

function dropOldest (roots: Set<string> | Map<string, number>): void {
  const [oldest] = roots.keys()
  if (roots.size > maxRoots && oldest !== undefined) {
    roots.delete(oldest)
  }
}
