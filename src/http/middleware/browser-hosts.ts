import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { TlsCertificate } from '../certificate.ts'
import { hostNameOf } from './authorities.ts'

export interface BrowserHostsInit {
  /** Further names under which browsers are answered; `*.` at the beginning means any single label */
  names: readonly string[]
  /** The certificate in use; undefined for plain HTTP */
  certificate?: (() => Pick<TlsCertificate, 'cert'>) | undefined
}

/**
 * The names under which browsers are answered. Without this check, the page of an attacker could have its own name
 * resolve to this server (DNS rebinding) and would then count as the same origin. An attacker can't do that with an IP
 * address, with a name without a dot, which only the local network resolves, or with a name in our certificate: these
 * are always answered.
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
