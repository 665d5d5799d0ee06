import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../config/entries.ts'
import { makeSwarmKey } from '../ipfs/node/swarm-key.ts'
import { ownerOnly } from './directory/file-modes.ts'
import { writeOwnerFile } from './directory/owner-file.ts'
import { StartError } from './directory/start-error.ts'

/**
 * Makes the key of a private swarm
 *
 * @param directory where it goes, into a file that only its owner can read; made if it is missing
 * @returns the path of the file, or without a directory the key itself
 * @throws StartError where there is such a file already: whoever loses the key loses the swarm
 */
export async function createSwarmKey(directory: string | undefined): Promise<string> {
  if (directory === undefined) {
    return makeSwarmKey().trimEnd()
  }
  const path = join(directory, 'swarm.key')
  try {
    await mkdir(directory, { recursive: true, mode: ownerOnly.directory })
    await writeOwnerFile(path, 'wx', makeSwarmKey())
    return path
  } catch (err) {
    const { code, syscall } = err as NodeJS.ErrnoException
    throw new StartError(
      code === 'EEXIST' && syscall === 'open'
        ? `${path} is there already, and is left as it is`
        : `${path} can't be written: ${reasonOf(err)}`,
      { cause: err },
    )
  }
}
