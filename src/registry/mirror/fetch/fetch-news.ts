import { raceSignal } from 'race-signal'
import { blockKey, BlockSet } from '../../../ipfs/blocks/block-set.ts'
import type { DigestAnswer } from '../../../ipfs/digests/digest-server.ts'
import type { LeafRange, LeafRun } from '../../../ipfs/digests/digest-messages.ts'

/**
 * Leaves that came from a peer are told together, after this long at most: others can have them from that peer, too;
 * milliseconds
 */
const delay = 500

export interface FetchNewsComponents {
  /** What is being fetched from upstream now, and need not be fetched by others */
  claims: () => LeafRange[]
  /** SHA-256 of a leaf; undefined where it is not here any more */
  hashOf: (leaf: number) => Uint8Array | undefined
}

/** Tells any number of peers what is here of a blob that is being fetched, as it comes */
export class FetchNews {
  readonly #components: FetchNewsComponents
  readonly #size: number
  /** In the order in which they were stored */
  readonly #leaves: number[] = []
  readonly #blocks = new BlockSet()
  /** How many of the leaves are to be told now */
  #due = 0
  #timer: NodeJS.Timeout | undefined
  #changed = Promise.withResolvers<void>()
  #claims: readonly LeafRange[] = []
  #root: string | undefined
  #hasEnded = false

  /** @param init.size bytes of the blob */
  constructor(components: FetchNewsComponents, { size }: { size: number }) {
    this.#components = components
    this.#size = size
  }

  /** Whether a block of this SHA-256 is a leaf that is here */
  hasBlock(hash: Uint8Array): boolean {
    return this.#blocks.has(blockKey(hash))
  }

  /** @param isElsewhere whether others can have it from another appliance */
  stored(leaf: number, hash: Uint8Array, { isElsewhere = false }: { isElsewhere?: boolean } = {}): void {
    this.#leaves.push(leaf)
    this.#blocks.add(blockKey(hash))
    if (isElsewhere) {
      this.#timer ??= setTimeout(this.#tell, delay).unref()
    } else {
      this.#tell()
    }
  }

  /** To be called when claims may have changed: whoever is told wakes only where they have */
  changed(): void {
    const claims = this.#components.claims()
    if (!isSame(claims, this.#claims)) {
      this.#claims = claims
      this.#wake()
    }
  }

  /** @param root CID of the file, where the blob is whole; undefined: it is given up */
  end(root?: string): void {
    this.#root = root
    this.#hasEnded = true
    this.#tell()
  }

  answer(): DigestAnswer {
    return { size: this.#size, news: ({ signal }) => this.#news(signal) }
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  readonly #tell = (): void => {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#due = this.#leaves.length
    this.#claims = this.#components.claims()
    this.#wake()
  }

  async *#news(signal: AbortSignal): ReturnType<DigestAnswer['news']> {
    let told = 0
    let claimed: readonly LeafRange[] | undefined
    this.#claims = this.#components.claims()
    for (;;) {
      const changed = this.#changed.promise
      const [claims, hasEnded, root] = [this.#claims, this.#hasEnded, this.#root]
      if (told < this.#due || claims !== claimed || root !== undefined) {
        claimed = claims
        const leaves = runsOf(this.#leaves.slice(told), this.#components.hashOf)
        told = this.#leaves.length
        yield { leaves, claims: [...claims], root }
      }
      if (hasEnded) {
        return
      }
      await raceSignal(changed, signal)
    }
  }
}

function isSame(a: readonly LeafRange[], b: readonly LeafRange[]): boolean {
  return a.length === b.length && a.every(({ from, to }, i) => from === b[i]!.from && to === b[i]!.to)
}

function runsOf(leaves: number[], hashOf: FetchNewsComponents['hashOf']): LeafRun[] {
  const runs: Array<{ first: number; hashes: Uint8Array[] }> = []
  for (const leaf of leaves.toSorted((a, b) => a - b)) {
    const hash = hashOf(leaf)
    const last = runs.at(-1)
    if (hash !== undefined && last !== undefined && last.first + last.hashes.length === leaf) {
      last.hashes.push(hash)
    } else if (hash !== undefined) {
      runs.push({ first: leaf, hashes: [hash] })
    }
  }
  return runs.map(({ first, hashes }) => ({ first, hashes: Buffer.concat(hashes) }))
}
