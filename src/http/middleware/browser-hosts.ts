import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { TlsCertificate } from '../certificate.ts'
import { hostNameOf } from './authorities.ts'

export interface BrowserHostsInit {
  /** Names that count beside those that always do; `*.` before one stands for any single label */
  names: readonly string[]
  /** The certificate that is used now; undefined: plain HTTP */
  certificate?: (() => Pick<TlsCertificate, 'cert'>) | undefined
}

/**
 * The names under which browsers are answered. A page of elsewhere can have its own name lead to this server (DNS rebinding) and is of the same
 * origin then, but nobody else can choose what is in the `Host` of an IP address, of a name that only this network knows, or of our certificate.
 */
export class BrowserHosts {
  readonly #names: ReadonlySet<string>
  readonly #certificate: BrowserHostsInit['certificate']
  #parsed: { cert: string; certificate: X509Certificate } | undefined

  constructor({ names, certificate }: BrowserHostsInit) {
    this.#names = new Set(names.map(name => name.toLowerCase().replace(/\.$/, '')))
    this.#certificate = certificate
  }

  /** @param authority `host:port`, as a request names it */
  has(authority: string): boolean {
    const name = hostNameOf(authority)
    return (
      name !== undefined &&
      (isIP(name) !== 0 ||
        !name.includes('.') ||
        name.endsWith('.localhost') ||
        this.#names.has(name) ||
        this.#names.has(`*${name.slice(name.indexOf('.'))}`) ||
        this.#current()?.checkHost(name) !== undefined)
    )
  }

  #current(): X509Certificate | undefined {
    const cert = this.#certificate?.().cert
    if (cert !== undefined && this.#parsed?.cert !== cert) {
      this.#parsed = { cert, certificate: new X509Certificate(cert) }
    }
    return cert === undefined ? undefined : this.#parsed?.certificate
  }
}
