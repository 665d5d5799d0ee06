import { randomBytes } from 'node:crypto'

const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
/** Ids of one millisecond that are told apart by their order; the next one counts as of the next millisecond */
const maxCounter = 0xfff

export function isEventId(text: string): boolean {
  return pattern.test(text)
}

/**
 * Makes the ids of events: UUIDs of version 7, each of which sorts after all that were made before, also where the
 * clock is set back
 *
 * @see https://www.rfc-editor.org/rfc/rfc9562#section-5.7
 */
export class EventIds {
  #time = 0
  #counter = 0

  /** @param id one that was made before a restart */
  continueAfter(id: string): void {
    this.#time = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
    this.#counter = maxCounter
  }

  next(now = Date.now()): string {
    if (now > this.#time) {
      this.#time = now
      this.#counter = 0
    } else if (this.#counter === maxCounter) {
      this.#time++
      this.#counter = 0
    } else {
      this.#counter++
    }
    const time = hex(this.#time, 12)
    const random = randomBytes(8)
    random[0] = (random[0]! & 0x3f) | 0x80
    const end = random.toString('hex')
    return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(this.#counter, 3)}-${end.slice(0, 4)}-${end.slice(4)}`
  }
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
