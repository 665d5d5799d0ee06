/**
 * The memory that bodies of requests (manifests, JSON) take while they are read: one limit for all clients together and
 * one for each client. Bytes are reserved before they are copied, and released once the request is answered.
 *
 * If there is not enough for everyone:
 *
 * - A client that exceeds its own limit only affects its own requests.
 * - If the common limit is reached, clients that hold less come before clients that hold more. A small body (up to 64
 *   KiB, as nearly all manifests are) is admitted at once, and a body of the client that holds the most is broken off
 *   for it. So attackers who hold all memory only hold it until others need it.
 * - A body that takes longer than a second is late. It is broken off for any body that needs less memory, also for one
 *   of the same client.
 * - A body that still finds no memory waits a few seconds. Complete bodies are soon processed and released, so any
 *   number of ordinary pushes at a time only take longer. After that it gets 429 if the client's own limit is reached,
 *   else 503.
 */
import { OciError } from '../../oci/errors.ts'
import { clientKey } from '../../scheduling/client-key.ts'

export interface BodyMemoryInit {
  /** Bytes of all clients together; 0 means unlimited */
  max: number
  /** Bytes of one client; 0 means unlimited */
  maxPerClient: number
  /** Milliseconds that a body may wait for memory. @default 5 seconds */
  patience?: number
}

/** Largest body, in bytes, for which large bodies of other clients are broken off */
export const smallBody = 64 * 1024

const second = 1000
/** Milliseconds after which a body is late */
const grace = second
/** Milliseconds between two looks whether waiting bodies fit now */
const interval = 200
/** Bodies that wait at a time; each has up to 128 KiB in the buffers of its connection */
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
   * Begins a body, which holds no memory yet
   *
   * @param client its address; all clients without one count as a single client
   * @param length of the body in bytes, if the client has declared it; 0 means unknown
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

  /** The body to break off so that another one fits, by the rules at the top of this file */
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
    // in a microtask: this may have been called while a loop over the waiting bodies runs
    if (this.#waiting.size > 0) {
      queueMicrotask(() => {
        this.#serve()
      })
    }
  }

  /** Goes through the waiting bodies in their order; one that does not fit does not hold up those after it */
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

/** One body, and the memory that it holds */
export class HeldBody implements Disposable {
  readonly client: string
  /** Bytes of the whole body as its client declared them; 0 means unknown */
  readonly length: number
  readonly began = performance.now()
  /** Bytes; changed by {@link BodyMemory} alone */
  held = 0
  /** The body is complete: it is not broken off, because it will soon be released */
  isWhole = false
  readonly #memory: BodyMemory
  readonly #controller = new AbortController()

  constructor(memory: BodyMemory, client: string, length: number) {
    this.#memory = memory
    this.client = client
    this.length = length
  }

  /**
   * Aborts with an OciError if the body is broken off for another one, which may use its memory from then on; also
   * aborts when the body is disposed of
   */
  get lost(): AbortSignal {
    return this.#controller.signal
  }

  /**
   * Reserves memory
   *
   * @param mayWait whether the body may wait: yes if the client does not send on meanwhile, or the rest is short
   * @throws OciError TOOMANYREQUESTS or UNAVAILABLE if there is none
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
