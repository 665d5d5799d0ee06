import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setInterval } from 'node:timers/promises'
import { createSecureContext } from 'node:tls'
import type { Logger } from '../log.ts'

const second = 1000

/** Certificate chain and private key, PEM */
export interface TlsCertificate {
  cert: string
  key: string
}

/** The files can't be read, or are no certificate and its private key; its message says which, in one line */
export class CertificateError extends Error {
  override name = 'CertificateError'
}

export interface CertificateInit {
  certPath: string
  keyPath: string
  /** Time between two looks at the files, milliseconds; @default 5 seconds */
  interval?: number
}

/**
 * A certificate and its key that are replaced while the server runs. The files are read again and again rather than watched: that works on
 * every file system, and however they are replaced, as by the symbolic links of Kubernetes or of certbot.
 */
export class Certificate {
  readonly #log: Logger
  readonly #init: CertificateInit
  #current: TlsCertificate
  #apply: (certificate: TlsCertificate) => void = () => {}
  #watching: AbortController | undefined
  #checking = Promise.resolve()
  #refused = false

  private constructor(log: Logger, init: CertificateInit, current: TlsCertificate) {
    this.#log = log
    this.#init = init
    this.#current = current
  }

  /** @throws CertificateError */
  static async open({ log }: { log: Logger }, init: CertificateInit): Promise<Certificate> {
    const pair = await readPair(init)
    checkPair(pair, init)
    return new Certificate(log, init, pair)
  }

  get current(): TlsCertificate {
    return this.#current
  }

  /** @param apply - gets every certificate that replaces the current one */
  start(apply: (certificate: TlsCertificate) => void): void {
    this.#apply = apply
    if (this.#watching === undefined) {
      this.#watching = new AbortController()
      void this.#watch(this.#watching.signal)
    }
  }

  async stop(): Promise<void> {
    this.#watching?.abort()
    this.#watching = undefined
    await this.#checking
  }

  /** Looks at the files now, and says so in the log where they are wrong */
  async reload(): Promise<void> {
    this.#refused = false
    await this.#check()
  }

  async #watch(signal: AbortSignal): Promise<void> {
    try {
      for await (const _ of setInterval(this.#init.interval ?? 5 * second, undefined, { signal, ref: false })) {
        await this.#check()
      }
    } catch (err) {
      if (!signal.aborted) {
        throw err
      }
    }
  }

  async #check(): Promise<void> {
    this.#checking = this.#checking.then(async () => {
      await this.#replace()
    })
    await this.#checking
  }

  async #replace(): Promise<void> {
    try {
      const pair = await readPair(this.#init)
      if (pair.cert !== this.#current.cert || pair.key !== this.#current.key) {
        checkPair(pair, this.#init)
        this.#apply(pair)
        this.#current = pair
        const { subject, validTo } = new X509Certificate(pair.cert)
        this.#log.info('certificate replaced', { subject, validTo })
      }
      this.#refused = false
    } catch (err) {
      // one file may have been replaced and the other one not yet: the next look tells
      if (!this.#refused) {
        this.#refused = true
        this.#log.warn('new certificate refused: the one before it stays until the files are right', {
          reason: (err as Error).message,
        })
      }
    }
  }
}

async function readPair({ certPath, keyPath }: CertificateInit): Promise<TlsCertificate> {
  const read = async (path: string): Promise<string> => {
    try {
      return await readFile(path, 'utf8')
    } catch (err) {
      throw new CertificateError(`${path} can't be read: ${(err as NodeJS.ErrnoException).code}`, { cause: err })
    }
  }
  return { cert: await read(certPath), key: await read(keyPath) }
}

function checkPair(pair: TlsCertificate, { certPath, keyPath }: CertificateInit): void {
  const check = <T>(message: string, run: () => T): T => {
    try {
      return run()
    } catch (err) {
      throw new CertificateError(message, { cause: err })
    }
  }
  const certificate = check(`${certPath} is no certificate in PEM`, () => new X509Certificate(pair.cert))
  const key = check(`${keyPath} is no private key in PEM without a passphrase`, () => createPrivateKey(pair.key))
  if (!certificate.checkPrivateKey(key)) {
    throw new CertificateError(`${keyPath} is not the private key of ${certPath}`)
  }
  check(`${certPath} and ${keyPath} can't be used for TLS`, () => createSecureContext(pair))
}
