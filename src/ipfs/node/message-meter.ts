/** What a message has more of than this costs far more memory once it is decoded than it took on the way; a full want list of kubo has 1024 */
const maxFields = 20_000
const maxShift = 63
/** Wire types of protobuf: which bytes of a field come after its tag */
const [varint, fixed64, lengthDelimited, fixed32] = [0, 1, 2, 5] as const
/** The field of the want list in a message, and the only one that is looked into */
const wantList = 1

type State = 'length' | 'tag' | 'number' | 'fieldLength'

/**
 * Follows the messages of a bitswap stream while they come in pieces of any size: each is its length and protobuf, which the library decodes
 * only when it is whole
 *
 * @see https://specs.ipfs.tech/bitswap-protocol/#bitswap-1-2-0-wire-format
 */
export class MessageMeter {
  /** Bytes of the message that is under way */
  held = 0
  #state: State = 'length'
  #value = 0
  #shift = 0
  #field = 0
  #fields = 0
  /** Bytes left of the message, of its want list and of the field that is passed over */
  #left = 0
  #listLeft = 0
  #skip = 0

  /** @throws Error where the bytes are no message, or one with too many fields */
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
      throw new Error('a number of a bitswap message has no end')
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
    // the length of a message is no part of it
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
          // the byte that was read now is passed after this
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
