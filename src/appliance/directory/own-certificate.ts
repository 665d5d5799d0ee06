import { join } from 'node:path'
import { maxCertificateBytes, readCertificate } from '../../access/peer-certificate.ts'
import type { Logger } from '../../log.ts'
import { readIfThere } from './owner-file.ts'

/** The certificate that an operator signed for this node, which somebody has put into the data directory */
export class OwnCertificate {
  readonly #log: Logger
  readonly #path: string
  /** What the log has told of */
  #seen: string | undefined

  constructor({ log }: { log: Logger }, { dataDir }: { dataDir: string }) {
    this.#log = log
    this.#path = join(dataDir, 'peer-certificate')
  }

  /**
   * @param peer id of this node
   * @returns undefined where there is none, or none for this node; the log says so once
   */
  async read(peer: string): Promise<string | undefined> {
    const text = await this.#readText()
    if (text === undefined) {
      this.#seen = undefined
      return undefined
    }
    const isNew = text !== this.#seen
    this.#seen = text
    try {
      const certificate = await readCertificate(text)
      if (certificate.peer !== peer) {
        throw new Error(`it is for peer ${certificate.peer}, and this is ${peer}`)
      }
      const expires = new Date(certificate.expires)
      if (expires < new Date()) {
        throw new Error(`it expired at ${expires.toISOString()}`)
      }
      if (isNew) {
        const { groups } = certificate
        this.#log.info('other nodes are shown a certificate', { groups, expires: expires.toISOString() })
      }
      return text
    } catch (err) {
      if (isNew) {
        this.#log.warn('no certificate is shown to other nodes', { file: this.#path, reason: (err as Error).message })
      }
      return undefined
    }
  }

  async #readText(): Promise<string | undefined> {
    try {
      // one that is longer is refused for its length, however much longer it is
      return (await readIfThere(this.#path))?.trim().slice(0, maxCertificateBytes + 1)
    } catch (err) {
      this.#log.debug('the certificate of this node is not readable', { reason: (err as Error).message })
      return undefined
    }
  }
}
