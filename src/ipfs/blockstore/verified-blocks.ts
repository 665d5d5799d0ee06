import type { BlockKey } from '../blocks/block-set.ts'

/** At 1 MiB each, the blocks of 64 GiB; the table takes 2 MiB */
const slots = 64 * 1024
/** 32-bit words of a key */
const words = 4

export interface VerifiedBlocksInit {
  /** How long a block counts as verified; milliseconds */
  period: number
  /** @default performance.now */
  now?: () => number
}

/**
 * Which blocks were verified lately, and when the file that was verified had been written: it has to be verified again where that has changed.
 * A table of fixed size, in which one block may take the place of another.
 */
export class VerifiedBlocks {
  readonly #period: number
  readonly #now: () => number
  readonly #keys = new Uint32Array(slots * words)
  readonly #modified = new Float64Array(slots)
  /** Zero: the slot is free */
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

  /** @returns when the verified file was written; undefined where it has to be verified */
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
