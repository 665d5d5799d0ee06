import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setInterval } from 'node:timers/promises'
import { createSecureContext } from 'node:tls'
import type { Logger } from '../log.ts'

const second = 1000

/** PEM */
export interface TlsCertificate {
  /** Certificate chain */
  cert: string
  /** Private key of that */
  key: string
  /** Certificates of the authorities whose clients are known by theirs; undefined: no client is */
  clientCa?: string | undefined
}

/** The files can't be read, or are not a certificate and its private key; the message says in one line what is wrong */
export class CertificateError extends Error {
  override name = 'CertificateError'
}

export interface CertificateInit {
  certPath: string
  keyPath: string
  clientCaPath?: string | undefined
  /** Milliseconds between two reads of the files. @default 5 seconds */
  interval?: number
}

/**
 * A certificate and its key, and the authorities of clients, which may be replaced while the server runs. The files are
 * read again every few seconds instead of being watched, which works on every file system and however they are
 * replaced, such as by the symbolic links of Kubernetes and certbot.
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

  /** When it expires, in milliseconds since 1970 */
  get expiry(): number {
    return new X509Certificate(this.#current.cert).validToDate.getTime()
  }

  /** @param apply called with each new certificate */
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

  /** Reads the files now, and logs it if they are wrong, even if that has been logged before */
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
      if (!isSame(pair, this.#current)) {
        checkPair(pair, this.#init)
        this.#apply(pair)
        this.#current = pair
        const { subject, validTo } = new X509Certificate(pair.cert)
        this.#log.info('certificate replaced', { subject, validTo })
      }
      this.#refused = false
    } catch (err) {
      // perhaps only one of the two files has been replaced yet: the next read finds both
      if (!this.#refused) {
        this.#refused = true
        this.#log.warn('new certificate refused: the previous one stays in use until the files are right', {
          reason: (err as Error).message,
        })
      }
    }
  }
}

function isSame(one: TlsCertificate, other: TlsCertificate): boolean {
  return one.cert === other.cert && one.key === other.key && one.clientCa === other.clientCa
}

async function readPair({ certPath, keyPath, clientCaPath }: CertificateInit): Promise<TlsCertificate> {
  const read = async (path: string): Promise<string> => {
    try {
      return await readFile(path, 'utf8')
    } catch (err) {
      throw new CertificateError(`${path} can't be read: ${(err as NodeJS.ErrnoException).code}`, { cause: err })
    }
  }
  return {
    cert: await read(certPath),
    key: await read(keyPath),
    clientCa: clientCaPath === undefined ? undefined : await read(clientCaPath),
  }
}

function checkPair(pair: TlsCertificate, { certPath, keyPath, clientCaPath }: CertificateInit): void {
  const check = <T>(message: string, run: () => T): T => {
    try {
      return run()
    } catch (err) {
      throw new CertificateError(message, { cause: err })
    }
  }
  const certificate = check(`${certPath} is not a certificate in PEM`, () => new X509Certificate(pair.cert))
  const key = check(`${keyPath} is not a private key in PEM without a passphrase`, () => createPrivateKey(pair.key))
  if (!certificate.checkPrivateKey(key)) {
    throw new CertificateError(`${keyPath} is not the private key of ${certPath}`)
  }
  const { cert, key: privateKey, clientCa } = pair
  check(`${certPath} and ${keyPath} can't be used for TLS`, () => createSecureContext({ cert, key: privateKey }))
  if (clientCa !== undefined) {
    check(`${clientCaPath} is not a certificate in PEM`, () => new X509Certificate(clientCa))
  }
}
