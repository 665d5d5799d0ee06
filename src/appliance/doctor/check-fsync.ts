import { randomUUID } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ownerOnly } from '../directory/file-modes.ts'
import { type Finding, ok, warning, wrong } from './finding.ts'

const check = 'fsync'
const times = 5
/** Bytes that are written before each */
const written = 4096
/** Milliseconds: a push waits for several, so that it would take seconds for a small image */
const slow = 50

/**
 * Writes to a file of its own in the directory, which is gone again right after it was opened, and waits for the disk
 *
 * @param isUsed whether `storage.fsync` is on
 */
export async function checkFsync(dataDir: string, isUsed: boolean): Promise<Finding> {
  let took: number
  try {
    took = await median(dataDir)
  } catch (err) {
    const { code, message } = err as NodeJS.ErrnoException
    return code === 'ENOENT'
      ? ok(check, 'is tried once the data directory is there')
      : wrong(
          check,
          `a file in ${dataDir} can't be written and brought to disk: ${message}`,
          'Look at the permissions of the directory, at its free space, and at the log of the kernel (dmesg).',
        )
  }
  const found = `takes ${took.toFixed(1)} ms`
  if (!isUsed) {
    return warning(
      check,
      `${found}, but storage.fsync is off: a power failure can take images that were pushed`,
      'Set storage.fsync to true, unless the images are elsewhere, too.',
    )
  }
  return took < slow
    ? ok(check, found)
    : warning(check, `${found}: every push waits for several`, 'Use a faster disk, such as an SSD.')
}

async function median(directory: string): Promise<number> {
  const path = join(directory, `.doctor-${randomUUID()}`)
  const took: number[] = []
  await using file = await open(path, 'wx', ownerOnly.file)
  try {
    // so that nothing is left of it if this process is killed
    await rm(path)
    for (let i = 0; i < times; i++) {
      await file.write(new Uint8Array(written))
      const began = performance.now()
      await file.sync()
      took.push(performance.now() - began)
    }
  } finally {
    await rm(path, { force: true })
  }
  return took.sort((one, other) => one - other)[Math.floor(times / 2)]!
}
