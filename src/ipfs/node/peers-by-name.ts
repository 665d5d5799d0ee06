import { lookup } from 'node:dns/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Connection, PeerId } from '@libp2p/interface'
import type { Logger } from '../../log.ts'

const interval = 10_000
/** After which an address is dialled again that could not be reached, or is that of this node */
const pause = 60_000
const maxAddresses = 256
const dialsAtOnce = 8

export interface PeersByNameComponents {
  /** @throws where nobody answers there */
  dial: (address: Multiaddr, signal: AbortSignal) => Promise<Connection>
  isConnected: (peer: PeerId) => boolean
  /** All IP addresses of a host, with the family of each. @default by the system */
  resolve?: (host: string) => Promise<Array<{ address: string; family: number }>>
  log: Logger
  /** @default Date.now */
  now?: () => number
}

/** Whether a multiaddr names a host and not which node there is meant, so that all of its addresses are */
export function isNameOfPeers(address: Multiaddr): boolean {
  const [first, ...others] = address.getComponents()
  return (
    ['dns', 'dns4', 'dns6'].includes(first?.name ?? '') &&
    others.every(({ name }) => !['p2p', 'p2p-circuit'].includes(name))
  )
}

/**
 * Stays connected to all nodes that a name leads to, such as that of a headless service of Kubernetes: it is resolved
 * again every 10 seconds
 */
export class PeersByName {
  readonly #components: PeersByNameComponents
  readonly #address: Multiaddr
  readonly #now: () => number
  /** By address: who was there, or until when it is left alone; milliseconds since the epoch */
  readonly #known = new Map<string, { peer: PeerId } | { until: number }>()

  constructor(components: PeersByNameComponents, address: Multiaddr) {
    this.#components = components
    this.#address = address
    this.#now = components.now ?? Date.now
  }

  /** Goes on until it is aborted */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.round(signal)
      await sleep(interval, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  /** Resolves the name once, and dials whom it leads to and who is not connected */
  async round(signal: AbortSignal): Promise<void> {
    const addresses = (await this.#resolve()).filter(address => this.#isWanted(address))
    for (let i = 0; i < addresses.length && !signal.aborted; i += dialsAtOnce) {
      await Promise.all(
        addresses.slice(i, i + dialsAtOnce).map(async address => {
          await this.#dial(address, signal)
        }),
      )
    }
  }

  /** Multiaddrs with IP addresses; what is known of addresses that are gone is forgotten */
  async #resolve(): Promise<string[]> {
    const [first, ...rest] = this.#address.getComponents()
    const family = { dns4: 4, dns6: 6 }[first!.name]
    const { log, resolve = async name => await lookup(name, { all: true }) } = this.#components
    try {
      const found = (await resolve(first!.value!)).filter(address => family === undefined || address.family === family)
      const end = rest.map(({ name, value }) => `/${name}${value === undefined ? '' : `/${value}`}`).join('')
      const addresses = found.slice(0, maxAddresses).map(({ address, family }) => `/ip${family}/${address}${end}`)
      for (const address of this.#known.keys()) {
        if (!addresses.includes(address)) {
          this.#known.delete(address)
        }
      }
      return addresses
    } catch (err) {
      log.debug('cannot resolve the name of peers', { address: this.#address.toString(), err })
      return []
    }
  }

  #isWanted(address: string): boolean {
    const known = this.#known.get(address)
    return (
      known === undefined || ('peer' in known ? !this.#components.isConnected(known.peer) : known.until <= this.#now())
    )
  }

  async #dial(address: string, signal: AbortSignal): Promise<void> {
    try {
      const { remotePeer } = await this.#components.dial(multiaddr(address), signal)
      this.#known.set(address, { peer: remotePeer })
      this.#components.log.info('peer connected', { peer: remotePeer.toString(), address })
    } catch (err) {
      this.#known.set(address, { until: this.#now() + pause })
      this.#components.log.debug('cannot dial a peer by its name', { address, error: String(err) })
    }
  }
}
