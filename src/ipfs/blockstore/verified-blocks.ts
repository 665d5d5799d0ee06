import type { BlockKey } from '../blocks/block-set.ts'

/** Enough for 64 GiB of blocks of 1 MiB; the table takes 2 MiB */
const slots = 64 * 1024
/** 32-bit words of a key */
const words = 4

export interface VerifiedBlocksInit {
  /** How long a block counts as verified: compared with its CID and found right; milliseconds */
  period: number
  /** @default performance.now */
  now?: () => number
}

/**
 * Remembers which blocks were verified recently, and when the file of each had been written then: after another write
 * the block has to be verified again. The table has a fixed size, so one block may push out another.
 */
export class VerifiedBlocks {
  readonly #period: number
  readonly #now: () => number
  readonly #keys = new Uint32Array(slots * words)
  readonly #modified = new Float64Array(slots)
  /** When the block in each slot was verified; 0 for a free slot */
  readonly #verified = new Float64Array(slots)

  constructor({ period, now = () => performance.now() }: VerifiedBlocksInit) {
    this.#period = period
    this.#now = now
  }

  note(key: BlockKey, modified: number): void {
    const slot = key[0] % slots
    this.#keys.set(key, slot * words)
    this.#modified[slot] = modified
    this.#verified[slot] = this.#now()
  }

  /** @returns when the verified file had been written; undefined where the block has to be verified */
  modified(key: BlockKey): number | undefined {
    const slot = key[0] % slots
    const verified = this.#verified[slot]!
    return verified > 0 && this.#now() - verified < this.#period && this.#holds(slot, key)
      ? this.#modified[slot]
      : undefined
  }

  #holds(slot: number, key: BlockKey): boolean {
    return key.every((word, i) => this.#keys[slot * words + i] === word)
  }
}
