import { copyFile, mkdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'

export interface QuarantineInit {
  /** Called with the new path of each damaged block */
  onQuarantined?: ((path: string) => void) | undefined
}

/**
 * Damaged blocks, moved out of the blockstore and kept so that an operator can look into what happened to them:
 *
 * ```
 * <directory>/<time>-<file>     the file as it was in the blockstore; the appliance never deletes it
 * ```
 */
export class Quarantine {
  readonly #directory: string
  readonly #onQuarantined: (path: string) => void

  /** @param directory is created with the first damaged block */
  constructor(directory: string, { onQuarantined = () => {} }: QuarantineInit = {}) {
    this.#directory = directory
    this.#onQuarantined = onQuarantined
  }

  /** Moves the file of a block. This is not synced: a damaged block that a power failure brings back is found again. */
  async add(file: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true })
    const target = join(this.#directory, `${new Date().toISOString().replaceAll(':', '')}-${basename(file)}`)
    try {
      await rename(file, target)
    } catch (err) {
      // the blocks may be on a file system of their own
      if ((err as NodeJS.ErrnoException).code !== 'EXDEV') {
        throw err
      }
      await copyFile(file, target)
      await rm(file)
    }
    this.#onQuarantined(target)
  }
}
