import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { endOf } from './connections.ts'

/** A certificate that a client showed, and that the authority of this port signed for clients */
interface ClientCertificate {
  name: string
  /** Milliseconds since 1970 */
  validTo: number
}

const usableName = /^[^\s\p{Cc}]{1,200}$/u
const names = new WeakMap<IncomingMessage, string>()

/** The name in the certificate with which a request came; undefined where there is none, or not a usable one */
export function certificateName(req: IncomingMessage): string | undefined {
  return names.get(req)
}

/** Tells by which certificates the clients of a port are known */
export class ClientCertificates {
  #authority: string
  /**
   * Connections since the authority is the one that it is, by {@link endOf}, with the certificate of each once it has
   * been asked for. What another authority signed counts for nothing any more.
   */
  readonly #connections = new Map<string, ClientCertificate | 'none' | 'unknown'>()

  constructor(authority: string) {
    this.#authority = authority
  }

  set authority(authority: string) {
    if (authority !== this.#authority) {
      this.#authority = authority
      this.#connections.clear()
    }
  }

  add(socket: Socket): void {
    const end = endOf(socket)
    this.#connections.set(end, 'unknown')
    socket.once('close', () => {
      this.#connections.delete(end)
    })
  }

  /** Finds out the name that {@link certificateName} tells */
  identify(req: IncomingMessage): void {
    const socket = req.socket as TLSSocket
    const end = endOf(socket)
    let found = this.#connections.get(end)
    if (found === 'unknown') {
      found = certificateOf(socket) ?? 'none'
      this.#connections.set(end, found)
    }
    if (typeof found === 'object' && found.validTo > Date.now()) {
      names.set(req, found.name)
    }
  }
}

function certificateOf(socket: TLSSocket): ClientCertificate | undefined {
  // for a session that is resumed, Node says `authorized` where no certificate was shown, too
  const certificate = socket.authorized ? (socket.getPeerCertificate() as Partial<PeerCertificate> | null) : undefined
  const name = certificate?.subject && nameOf(certificate)
  return name === undefined ? undefined : { name, validTo: Date.parse(certificate?.valid_to ?? '') }
}

/** The common name; where there is none that could be a name, the first URI, DNS name or mail address */
function nameOf({ subject, subjectaltname = '' }: Partial<PeerCertificate>): string | undefined {
  const commonName: unknown = subject?.CN
  if (typeof commonName === 'string' && usableName.test(commonName)) {
    return commonName
  }
  // OpenSSL puts what could be taken for another entry in quotes
  const entries = subjectaltname.includes('"') ? [] : subjectaltname.split(', ')
  return ['URI:', 'DNS:', 'email:']
    .flatMap(kind => entries.filter(entry => entry.startsWith(kind)).map(entry => entry.slice(kind.length)))
    .find(name => usableName.test(name))
}
