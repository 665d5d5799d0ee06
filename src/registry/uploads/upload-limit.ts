import { ClientLimit } from '../client-limit.ts'

/**
 * Milliseconds. Where there are too many uploads, one that was silent for this long makes room: its client has most
 * likely gone.
 */
const silence = 60 * 60 * 1000

export interface UploadLimitInit {
  /** Open uploads of all clients together; 0 means unlimited */
  max: number
  /** Open uploads of one client; 0 means unlimited */
  maxPerClient: number
}

interface CountedUpload {
  place: Disposable
  client: string | undefined
  /** When a request for the upload last ended; milliseconds since the epoch */
  used: number
  /** Number of requests for the upload that are under way */
  requests: number
}

/** Limits how many uploads are open, and tells which one may be dropped where there are too many */
export class UploadLimit {
  readonly #limit: ClientLimit
  readonly #open = new Map<string, CountedUpload>()

  constructor(init: UploadLimitInit) {
    this.#limit = new ClientLimit({ ...init, what: 'open uploads' })
  }

  /** Counts an upload that was open before the server started. Its client is not known. */
  found(id: string, used: number): void {
    this.#open.set(id, { place: this.#limit.add(undefined), client: undefined, used, requests: 0 })
  }

  /** @throws OciError TOOMANYREQUESTS or UNAVAILABLE where there are too many */
  open(id: string, client: string | undefined): void {
    this.#open.set(id, { place: this.#limit.take(client), client, used: Date.now(), requests: 0 })
  }

  /** Marks the upload as used by a request, until the result is disposed of */
  use(id: string): Disposable {
    const upload = this.#open.get(id)
    if (upload !== undefined) {
      upload.requests++
    }
    return {
      [Symbol.dispose]: () => {
        if (upload !== undefined) {
          upload.requests--
          upload.used = Date.now()
        }
      },
    }
  }

  close(id: string): void {
    this.#open.get(id)?.place[Symbol.dispose]()
    this.#open.delete(id)
  }

  /**
   * @returns the upload that has to be dropped before the client may open another one; undefined where none has to, or
   *   none may
   */
  silent(client: string | undefined): string | undefined {
    const refusal = this.#limit.refusal(client)
    const before = Date.now() - silence
    if (refusal === undefined) {
      return undefined
    }
    for (const [id, upload] of this.#open) {
      if (
        upload.requests === 0 &&
        upload.used < before &&
        (refusal.code === 'UNAVAILABLE' || upload.client === client)
      ) {
        return id
      }
    }
    return undefined
  }
}
