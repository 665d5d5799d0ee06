/**
 * The memory that bodies of requests take while they come: of all clients together, and of each. Bytes are reserved before they are copied, and given
 * back once the request is answered.
 *
 * Who gets it where there is not enough for all:
 *
 * - What is over a client's share is that client's to sort out; others notice nothing.
 * - Where all is taken, whoever holds less goes before whoever holds more. A small body (64 KiB, as all but a few manifests are) is let in at once,
 *   and the body of the client that holds the most is broken off for it. So strangers who hold whatever they may get hold it only until others come.
 * - A body that has been coming for longer than a second is late. It goes for any that needs less, also for one of the same client.
 * - Whoever finds no room in spite of that waits a few seconds: what is whole is worked on and gone soon, so that any number of ordinary pushes at
 *   a time only takes longer. Then it is 429 where the client's own share is full, else 503.
 */
import { OciError } from '../oci/errors.ts'
import { clientKey } from '../registry/client-limit.ts'

export interface BodyMemoryInit {
  /** Bytes of all clients; 0: any */
  max: number
  /** Bytes of one client; 0: any */
  maxPerClient: number
  /** How long a body may wait for room; milliseconds, 5 s by default */
  patience?: number
}

/** A body up to here is let in at the cost of the large ones of others */
export const smallBody = 64 * 1024

const second = 1000
/** After this a body is late */
const grace = second
const interval = 200
/** Each has up to 128 KiB in the buffers of its connection */
const maxWaiting = 32
const headers = { 'Retry-After': '5', Connection: 'close' }

interface Waiting {
  body: HeldBody
  bytes: number
  until: number
  resolve: () => void
  reject: (err: OciError) => void
}

export class BodyMemory {
  readonly #init: Required<BodyMemoryInit>
  readonly #bodies = new Set<HeldBody>()
  readonly #ofClient = new Map<string, number>()
  readonly #waiting = new Set<Waiting>()
  #timer: NodeJS.Timeout | undefined
  #total = 0

  constructor(init: BodyMemoryInit) {
    this.#init = { patience: 5 * second, ...init }
  }

  /** Bytes that are reserved */
  get total(): number {
    return this.#total
  }

  /**
   * @param client its address; undefined: whoever has none counts as one client
   * @param length of the body in bytes, where its client has declared it
   */
  open(client: string | undefined, length = 0): HeldBody {
    const body = new HeldBody(this, client === undefined ? '' : clientKey(client), length)
    this.#bodies.add(body)
    return body
  }

  /** For {@link HeldBody} */
  async take(body: HeldBody, bytes: number, mayWait: boolean): Promise<void> {
    if (this.#tryTake(body, bytes)) {
      return
    }
    if (!mayWait || this.#waiting.size >= maxWaiting) {
      throw this.#refusal(body, bytes)
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting = { body, bytes, until: performance.now() + this.#init.patience, resolve, reject }
    this.#waiting.add(waiting)
    this.#timer ??= setInterval(() => {
      this.#serve()
    }, interval)
    const lost = (): void => {
      reject(body.lost.reason as OciError)
    }
    body.lost.addEventListener('abort', lost, { once: true })
    try {
      await promise
    } finally {
      body.lost.removeEventListener('abort', lost)
      this.#endWaiting(waiting)
    }
  }

  /** For {@link HeldBody} */
  close(body: HeldBody): void {
    this.#bodies.delete(body)
    this.#release(body)
  }

  #tryTake(body: HeldBody, bytes: number): boolean {
    while (!this.#fits(body, bytes)) {
      const victim = this.#victim(body, bytes)
      if (victim === undefined) {
        return false
      }
      this.#bodies.delete(victim)
      victim.lose(victim.client === body.client ? this.#ofOne() : this.#ofAll())
      this.#release(victim)
    }
    body.held += bytes
    this.#add(body.client, bytes)
    return true
  }

  #fits(body: HeldBody, bytes: number): boolean {
    const { max } = this.#init
    return this.#fitsClient(body, bytes) && (max === 0 || this.#total + bytes <= max)
  }

  #fitsClient({ client }: HeldBody, bytes: number): boolean {
    const { maxPerClient } = this.#init
    return maxPerClient === 0 || this.#heldBy(client) + bytes <= maxPerClient
  }

  /** The body that goes so that another can come; the order is that at the top of this file */
  #victim(body: HeldBody, bytes: number): HeldBody | undefined {
    const own = !this.#fitsClient(body, bytes)
    const late = performance.now() - grace
    const isSmall = Math.max(body.length, body.held + bytes) <= smallBody
    let victim: HeldBody | undefined
    for (const other of this.#bodies) {
      const goesFirst =
        other.client === body.client
          ? other.began < late && other.held > body.held + bytes
          : !own && (isSmall || other.began < late) && this.#heldBy(other.client) > this.#heldBy(body.client) + bytes
      if (
        other !== body &&
        other.held > 0 &&
        !other.isWhole &&
        goesFirst &&
        (victim === undefined || this.#heldBy(other.client) > this.#heldBy(victim.client))
      ) {
        victim = other
      }
    }
    return victim
  }

  #heldBy(client: string): number {
    return this.#ofClient.get(client) ?? 0
  }

  #add(client: string, bytes: number): void {
    this.#total += bytes
    const held = this.#heldBy(client) + bytes
    held === 0 ? this.#ofClient.delete(client) : this.#ofClient.set(client, held)
  }

  #release(body: HeldBody): void {
    this.#add(body.client, -body.held)
    body.held = 0
    // not at once: this may be in the midst of another's turn
    if (this.#waiting.size > 0) {
      queueMicrotask(() => {
        this.#serve()
      })
    }
  }

  /** In the order in which they came; who finds no room lets others go ahead */
  #serve(): void {
    const now = performance.now()
    for (const waiting of this.#waiting) {
      const { body, bytes, until, resolve, reject } = waiting
      if (this.#tryTake(body, bytes)) {
        this.#endWaiting(waiting)
        resolve()
      } else if (until < now) {
        this.#endWaiting(waiting)
        reject(this.#refusal(body, bytes))
      }
    }
  }

  #endWaiting(waiting: Waiting): void {
    this.#waiting.delete(waiting)
    if (this.#waiting.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  #refusal(body: HeldBody, bytes: number): OciError {
    return this.#fitsClient(body, bytes) ? this.#ofAll() : this.#ofOne()
  }

  #ofOne(): OciError {
    return new OciError('TOOMANYREQUESTS', {
      detail: { reason: `more than ${this.#init.maxPerClient} bytes of bodies of one client` },
      headers,
    })
  }

  #ofAll(): OciError {
    return new OciError('UNAVAILABLE', { detail: { reason: `more than ${this.#init.max} bytes of bodies` }, headers })
  }
}

/** What one body holds */
export class HeldBody implements Disposable {
  readonly client: string
  /** As declared; 0: unknown */
  readonly length: number
  readonly began = performance.now()
  /** Bytes; changed by {@link BodyMemory} alone */
  held = 0
  /** Nobody waits for its client any more: it is let be */
  isWhole = false
  readonly #memory: BodyMemory
  readonly #controller = new AbortController()

  constructor(memory: BodyMemory, client: string, length: number) {
    this.#memory = memory
    this.client = client
    this.length = length
  }

  /** Fires with an OciError where the body has to go for another one, as what it held counts as free from then on; and where nobody reads it any more */
  get lost(): AbortSignal {
    return this.#controller.signal
  }

  /**
   * Reserves room
   *
   * @param mayWait whether the rest of the body stays with the client meanwhile, or is short
   * @throws OciError TOOMANYREQUESTS or UNAVAILABLE where there is none
   */
  async take(bytes: number, mayWait: boolean): Promise<void> {
    this.lost.throwIfAborted()
    await this.#memory.take(this, bytes, mayWait)
  }

  lose(reason: OciError): void {
    this.#controller.abort(reason)
  }

  [Symbol.dispose](): void {
    this.#memory.close(this)
    this.#controller.abort()
  }
}
