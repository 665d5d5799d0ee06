import { open, readFile } from 'node:fs/promises'
import { MiB } from './options.ts'

const piece = 4 * MiB
/** Of the file, which has holes only and takes no disk */
const size = 2 ** 42

/**
 * Sees to it that whatever memory a server is given has been in use before, as on a machine that has been up for a
 * while.
 *
 * The host of a virtual machine may back its memory page by page, when each is touched for the first time, and take
 * back what lies idle. On one such machine that cost 3 s of processor time a GiB, more than all else that a push does,
 * and hit whoever's turn it was.
 */
export class UsedMemory {
  readonly #path: string
  #position = 0

  /** @param path of a file that is made */
  constructor(path: string) {
    this.#path = path
  }

  /**
   * Fills what is free with pages that are given up at once when somebody needs them: of a file that is read, never the
   * same part again
   */
  async fill(): Promise<void> {
    await using file = await open(this.#path, 'a+')
    await file.truncate(size)
    const buffer = Buffer.alloc(piece)
    for (let left = await freeMemory(); left > 0; left -= piece) {
      await file.read(buffer, 0, piece, this.#position)
      this.#position = (this.#position + piece) % size
    }
  }
}

/** Bytes that nobody uses, not even for the page cache */
async function freeMemory(): Promise<number> {
  const [, kibibytes] = /^MemFree: +(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8')) ?? []
  return Number(kibibytes ?? 0) * 1024
}
