import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import type { ContentReader } from '../../ipfs/content-store.ts'
import { DamagedBlockError, isUnreadable } from '../../ipfs/errors.ts'
import { verifiedReader } from '../../ipfs/content/verified-reader.ts'
import { translateErrorsOf } from '../../registry/errors.ts'

/**
 * Reads DAGs that anybody may have made. The libraries that decode them may throw any error where a DAG is not what
 * they expect: all of these become DamagedBlockError.
 */
export function untrustedReader(blockstore: Pick<DurableBlockstore, 'read'>): ContentReader {
  const reader = verifiedReader(blockstore)
  return {
    read: (...args) => translateErrorsOf(reader.read(...args), toDamage),
    list: (...args) => translateErrorsOf(reader.list(...args), toDamage),
    find: async (...args) => await asDamage(async () => await reader.find(...args)),
    canonical: async (...args) => await asDamage(async () => await reader.canonical(...args)),
  }
}

/** Runs `work`, and throws an unexpected error as DamagedBlockError */
export async function asDamage<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (err) {
    throw toDamage(err)
  }
}

/** Keeps errors that already say what is wrong: of the system, of an abort, and of content that can't be read */
function toDamage(err: unknown): unknown {
  const { message, name, syscall } = err as NodeJS.ErrnoException
  if (syscall !== undefined || name === 'AbortError' || name === 'UnavailableError' || isUnreadable(err)) {
    return err
  }
  return new DamagedBlockError(`a DAG is malformed: ${message}`, { cause: err })
}
