import { join } from 'node:path'
import { maxCertificateBytes, readCertificate, type PeerCertificate } from '../../access/files/peer-certificate.ts'
import { reasonOf } from '../../config/entries.ts'
import type { Logger } from '../../log.ts'
import { readIfThere } from './owner-file.ts'

/** The certificate that an operator signed for this node, which somebody has put into the data directory */
export class OwnCertificate {
  readonly #log: Logger
  readonly #path: string
  /** What the log has told of: a certificate, or why there is none */
  #told: string | undefined

  constructor({ log }: { log: Logger }, { dataDir }: { dataDir: string }) {
    this.#log = log
    this.#path = join(dataDir, 'peer-certificate')
  }

  /**
   * @param peer id of this node
   * @returns undefined where there is none, or none for this node; the log says so once
   */
  async read(peer: string): Promise<string | undefined> {
    try {
      // one that is longer is refused for its length, however much longer it is
      const text = (await readIfThere(this.#path))?.trim().slice(0, maxCertificateBytes + 1)
      if (text !== undefined) {
        const { expires, groups } = await requireOwn(text, peer)
        if (this.#told !== text) {
          this.#log.info('other nodes are shown a certificate', { groups, expires: new Date(expires).toISOString() })
        }
      }
      this.#told = text
      return text
    } catch (err) {
      const reason = reasonOf(err)
      if (this.#told !== reason) {
        this.#log.warn('no certificate is shown to other nodes', { file: this.#path, reason })
      }
      this.#told = reason
      return undefined
    }
  }
}

/** @throws Error where it is no certificate for this peer, or has expired */
async function requireOwn(text: string, peer: string): Promise<PeerCertificate> {
  const certificate = await readCertificate(text)
  if (certificate.peer !== peer) {
    throw new Error(`it is for peer ${certificate.peer}, and this is ${peer}`)
  }
  if (certificate.expires < Date.now()) {
    throw new Error(`it expired at ${new Date(certificate.expires).toISOString()}`)
  }
  return certificate
}
