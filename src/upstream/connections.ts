import { lookup as systemLookup, type LookupAddress, type LookupAllOptions } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { getCACertificates } from 'node:tls'
import { Agent, buildConnector, fetch as undiciFetch } from 'undici'
import { InvalidAnswerError } from '../remote/errors.ts'
import { addressesOf, bareHost } from '../remote/http/plain-http.ts'
import { classOf, mayReferTo, type AddressClass } from './address-class.ts'

/** Milliseconds until a connection is made, and for which it is kept without a request */
const [connectTimeout, keepAliveTimeout] = [10_000, 15_000]

export interface ConnectionsInit {
  url: URL
  /** Certificates of authorities beside those of the system, PEM */
  ca?: string | undefined
  /** DNS. @default that of the system */
  lookup?: Lookup | undefined
}

export type Lookup = (
  hostname: string,
  options: LookupAllOptions,
  callback: (err: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/**
 * The connections to one upstream, and to the servers that it refers to: where blobs or tokens are. These may be at
 * private addresses only where the upstream is at such an address itself. That is decided about the very address that
 * is connected to, so that a name can't lead elsewhere after it was checked.
 */
export class Connections {
  readonly #agent: Agent
  readonly #lookup: Lookup
  /** The names of the upstream in URLs, without brackets */
  readonly #own: readonly string[]
  /** Where the upstream was when it was last connected to */
  #ownClass: AddressClass | undefined

  constructor({ ca, lookup = systemLookup as Lookup, url }: ConnectionsInit) {
    this.#lookup = lookup
    this.#own = [url, ...addressesOf(url)].map(({ hostname }) => bareHost(hostname))
    const connect = buildConnector({
      allowH2: false,
      timeout: connectTimeout,
      lookup: this.#guardedLookup,
      // a certificate of one's own authority for the registry, one of a public authority where its blobs are
      ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }),
    })
    this.#agent = new Agent({
      allowH2: false,
      keepAliveTimeout,
      // the requests keep time themselves
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) => {
        const host = bareHost(options.hostname)
        const isOwn = this.#own.includes(host)
        if (isIP(host) !== 0 && !isOwn && !this.#allows(host)) {
          callback(forbidden(host), null)
          return
        }
        connect(options, (...result) => {
          const address = result[1]?.remoteAddress
          if (isOwn && address !== undefined) {
            this.#ownClass = classOf(address)
          }
          callback(...result)
        })
      },
    })
  }

  /** As the global one, but only where the upstream may lead */
  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    // the types of the package and of Node describe the same thing twice
    const options = { ...init, dispatcher: this.#agent } as unknown as Parameters<typeof undiciFetch>[1]
    return (await undiciFetch(input as URL, options)) as unknown as Response
  }

  /** Ends every request and every connection */
  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  readonly #guardedLookup: LookupFunction = (hostname, options, callback) => {
    this.#lookup(hostname, { ...options, all: true }, (err, found) => {
      const allowed = this.#own.includes(hostname) ? found : found?.filter(({ address }) => this.#allows(address))
      const [first] = allowed ?? []
      if (err !== null || first === undefined) {
        callback(err ?? forbidden(hostname), [])
      } else if (options.all === true) {
        callback(null, allowed)
      } else {
        callback(null, first.address, first.family)
      }
    })
  }

  #allows(address: string): boolean {
    return mayReferTo(classOf(address), this.#ownClass)
  }
}

function forbidden(host: string): InvalidAnswerError {
  return new InvalidAnswerError(`the registry refers to ${host}, which is at a private address`)
}
