import { encodeCar } from '../ipfs/car.ts'
import type { ApplianceClient, RestoreProgress, RestoreResult } from './appliance-client.ts'
import { backupFiles, blocksOf, rootOfBackup } from './backup-files.ts'
import { ClientError } from './client-error.ts'
import type { ReadOptions } from './image-source.ts'

/**
 * Fills an empty appliance from backups
 *
 * @param sources files, or directories of files, the oldest first: the last is what is restored, the others have what it leaves out
 * @throws ClientError, ResponseError
 */
export async function restore (appliance: ApplianceClient, sources: readonly string[], onProgress: (progress: RestoreProgress) => void, options: ReadOptions): Promise<RestoreResult> {
  const files = (await Promise.all(sources.map(backupFiles))).flat()
  const last = files.at(-1)
  if (last === undefined) {
    throw new ClientError(`there is no backup in ${sources.join(', ')}`)
  }
  const root = await rootOfBackup(last)
  let failure: unknown
  const body = async function * (): AsyncGenerator<Uint8Array> {
    try {
      yield * encodeCar(root, blocksOf(files))
    } catch (err) {
      // the request only says that it was cut short
      failure = err
      throw err
    }
  }
  try {
    return await appliance.restore(body, onProgress, options)
  } catch (err) {
    throw failure ?? err
  }
}
