import { copyFile, mkdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'

export interface QuarantineInit {
  /** Is told where each damaged block is now */
  onQuarantined?: ((path: string) => void) | undefined
}

/**
 * Where damaged blocks are moved to, for whoever wants to know what became of them:
 *
 * ```
 * <directory>/<time>-<file>     as it was in the blockstore; nothing here deletes it
 * ```
 */
export class Quarantine {
  readonly #directory: string
  readonly #onQuarantined: (path: string) => void

  /** @param directory is made when it is needed */
  constructor(directory: string, { onQuarantined = () => {} }: QuarantineInit = {}) {
    this.#directory = directory
    this.#onQuarantined = onQuarantined
  }

  /** Takes the file of a block out of its place. Not synced: what comes back after a power failure is found again. */
  async add(file: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true })
    const target = join(this.#directory, `${new Date().toISOString().replaceAll(':', '')}-${basename(file)}`)
    try {
      await rename(file, target)
    } catch (err) {
      // the blocks may lie in a file system of their own
      if ((err as NodeJS.ErrnoException).code !== 'EXDEV') {
        throw err
      }
      await copyFile(file, target)
      await rm(file)
    }
    this.#onQuarantined(target)
  }
}
