import { OciError } from '../oci/errors.ts'
import { translateErrors } from './errors.ts'
import type { RequestOptions } from './repository.ts'

/** A connection to a peer */
export interface Peer {
  peer: string
  address: string
  direction: 'inbound' | 'outbound'
  /** Through a relay, for a short time and few bytes */
  limited: boolean
  /** Milliseconds there and back, once measured */
  latency?: number | undefined
}

export interface AdministrationComponents {
  node: {
    peers: () => Peer[]
    connect: (address: string, options?: RequestOptions) => Promise<string>
  }
  names: { resolve: (name: string, options?: RequestOptions) => Promise<{ cid: string, path: string[], ttl: number }> }
  publisher: { publish: () => Promise<{ name: string, cid: string }> }
}

/** What an operator asks an appliance for, beside images. Throws OciError alone where it can't be had. */
export class Administration {
  readonly #components: AdministrationComponents

  constructor (components: AdministrationComponents) {
    this.#components = components
  }

  peers (): Peer[] {
    return this.#components.node.peers()
  }

  /** @returns the id of the peer that it is connected to now */
  async connect (address: string, options: RequestOptions = {}): Promise<string> {
    try {
      return await this.#components.node.connect(address, options)
    } catch (err) {
      options.signal?.throwIfAborted()
      const { name, message } = err as Error
      const own = name === 'NetworkConfigError' || name === 'NodeOfflineError'
      throw new OciError(name === 'NetworkConfigError' ? 'REQUEST_INVALID' : 'UNAVAILABLE', {
        detail: { reason: own ? message : `no connection to ${address.slice(0, 200)}` }, cause: err
      })
    }
  }

  /** Follows an IPNS name or a domain; `ttl` in seconds */
  async resolve (name: string, options: RequestOptions = {}): Promise<{ cid: string, path: string[], ttl: number }> {
    try {
      return await this.#components.names.resolve(name, options)
    } catch (err) {
      const code = nameErrors[(err as Error).name]
      throw code === undefined ? err : new OciError(code, { detail: { reason: (err as Error).message }, cause: err })
    }
  }

  /** Publishes all tags as they are now */
  async publish (): Promise<{ name: string, cid: string }> {
    return await translateErrors(async () => await this.#components.publisher.publish())
  }
}

const nameErrors: Record<string, 'REQUEST_INVALID' | 'NAME_UNKNOWN' | 'UNAVAILABLE'> = {
  InvalidNameError: 'REQUEST_INVALID',
  NameNotFoundError: 'NAME_UNKNOWN',
  UnavailableError: 'UNAVAILABLE'
}
