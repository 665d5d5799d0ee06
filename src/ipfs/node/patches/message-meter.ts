/**
 * A message with more fields takes far more memory once decoded than its bytes did; kubo's longest want list has 1024
 * entries
 */
const maxFields = 20_000
const maxShift = 63
/** Wire types of protobuf, which say what follows the tag of a field */
const [varint, fixed64, lengthDelimited, fixed32] = [0, 1, 2, 5] as const
/** The field of a message that holds the want list: the only one whose own fields are counted */
const wantList = 1

type State = 'length' | 'tag' | 'number' | 'fieldLength'

/**
 * Measures the messages of a bitswap stream while they arrive, in pieces of any size. Each is its length followed by
 * protobuf, which the library decodes only once it is complete.
 *
 * @see https://specs.ipfs.tech/bitswap-protocol/#bitswap-1-2-0-wire-format
 */
export class MessageMeter {
  /** Bytes that have arrived of the message that is not complete */
  held = 0
  #state: State = 'length'
  #value = 0
  #shift = 0
  #field = 0
  #fields = 0
  /** Bytes still to come of the message, of its want list and of the field that is skipped */
  #left = 0
  #listLeft = 0
  #skip = 0

  /** @throws Error if the bytes are not a message, or are one with too many fields */
  take(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; ) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, bytes.byteLength - at)
        at += passed
        this.#skip -= passed
        this.#pass(passed)
      } else {
        this.#read(bytes[at]!)
        at++
      }
    }
  }

  #read(byte: number): void {
    const state = this.#state
    if (this.#shift > maxShift) {
      throw new Error('a bitswap message has a number that does not end')
    }
    this.#value += (byte & 0x7f) * 2 ** this.#shift
    this.#shift += 7
    const ends = byte < 0x80
    if (ends) {
      const value = this.#value
      this.#value = 0
      this.#shift = 0
      this.#follow(state, value)
    }
    // the length of a message is not part of it
    if (state !== 'length') {
      this.#pass(1)
    }
  }

  #follow(state: State, value: number): void {
    switch (state) {
      case 'length':
        this.#left = value
        this.#state = value === 0 ? 'length' : 'tag'
        break
      case 'tag':
        this.#startField(Math.floor(value / 8), value % 8)
        break
      case 'number':
        this.#state = 'tag'
        break
      case 'fieldLength':
        this.#state = 'tag'
        if (this.#field === wantList && this.#listLeft === 0) {
          // counts the byte that was just read, which #pass subtracts after this
          this.#listLeft = value === 0 ? 0 : value + 1
        } else {
          this.#skip = value
        }
    }
  }

  #startField(field: number, type: number): void {
    this.#field = field
    if (++this.#fields > maxFields) {
      throw new Error(`a bitswap message has more than ${maxFields} fields`)
    }
    if (type === varint) {
      this.#state = 'number'
    } else if (type === lengthDelimited) {
      this.#state = 'fieldLength'
    } else if (type === fixed32 || type === fixed64) {
      this.#state = 'tag'
      this.#skip = type === fixed32 ? 4 : 8
    } else {
      throw new Error(`a bitswap message has a field of type ${type}`)
    }
  }

  #pass(count: number): void {
    this.held += count
    this.#left -= count
    this.#listLeft = Math.max(0, this.#listLeft - count)
    if (this.#left <= 0) {
      this.held = 0
      this.#fields = 0
      this.#listLeft = 0
      this.#skip = 0
      this.#state = 'length'
    }
  }
}
