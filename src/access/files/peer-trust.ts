import type { Logger } from '../../log.ts'
import type { AccessFiles } from './access-files.ts'
import { verifyCertificate, type PeerCertificate } from './peer-certificate.ts'

/** Whose certificates count, as `access.yml` says */
export interface Trust {
  /** Public keys */
  keys: ReadonlySet<string>
  /** Peer ids, and ids of certificates, that count for nothing */
  revoked: ReadonlySet<string>
}

interface Shown {
  text: string
  /** Undefined until it has been verified */
  certificate?: PeerCertificate | undefined
  /** With which it was verified last, or could not be */
  trust?: Trust | undefined
  verifying?: Promise<void> | undefined
}

/** Remembers the certificates that connected peers show, and what they are worth by the rules of the moment */
export class PeerTrust {
  readonly #files: Pick<AccessFiles, 'state'>
  readonly #log: Logger
  readonly #shown = new Map<string, Shown>()

  constructor({ files, log }: { files: Pick<AccessFiles, 'state'>; log: Logger }) {
    this.#files = files
    this.#log = log
  }

  /** A connected peer shows a certificate, instead of one that it showed before */
  show(peer: string, text: string): void {
    this.#shown.set(peer, { text })
    void this.groupsOf(peer)
  }

  /** A peer is not connected any more */
  forget(peer: string): void {
    this.#shown.delete(peer)
  }

  /**
   * The groups that a peer is in by its certificate; undefined for a peer without one that counts now. Returns at once
   * where nothing has to be verified.
   */
  groupsOf(peer: string): readonly string[] | undefined | Promise<readonly string[] | undefined> {
    const trust = this.#files.state?.trust
    const shown = this.#shown.get(peer)
    if (trust === undefined || shown === undefined) {
      return undefined
    }
    if (shown.certificate === undefined && shown.trust !== trust) {
      shown.verifying ??= this.#verify(peer, shown, trust).finally(() => {
        shown.verifying = undefined
      })
    }
    // what is shown, and whom to trust, may be another one by then
    return shown.verifying === undefined
      ? this.#worth(peer, shown)
      : shown.verifying.then(async () => await this.groupsOf(peer))
  }

  async #verify(peer: string, shown: Shown, trust: Trust): Promise<void> {
    shown.trust = trust
    try {
      shown.certificate = await verifyCertificate(shown.text, peer, key => trust.keys.has(key))
      const { expires, groups, id } = shown.certificate
      this.#log.info('peer shows a certificate', { peer, id, groups, expires: new Date(expires).toISOString() })
    } catch (err) {
      this.#log.debug('peer shows a certificate that counts for nothing', { peer, reason: (err as Error).message })
    }
  }

  /** Key and revocation are looked up each time: a signature stays what it is, but whom to trust may change */
  #worth(peer: string, { certificate }: Shown): readonly string[] | undefined {
    const trust = this.#files.state?.trust
    return trust !== undefined &&
      certificate !== undefined &&
      trust.keys.has(certificate.publicKey) &&
      !trust.revoked.has(peer) &&
      !trust.revoked.has(certificate.id) &&
      certificate.expires > Date.now()
      ? certificate.groups
      : undefined
  }
}
