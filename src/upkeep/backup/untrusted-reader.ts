import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import type { ContentReader } from '../../ipfs/content-store.ts'
import { DamagedBlockError } from '../../ipfs/errors.ts'
import { verifiedReader } from '../../ipfs/content/verified-reader.ts'

/** Errors that say what is the matter */
const named = ['AbortError', 'NotFoundError', 'DamagedBlockError', 'RefusedDagError', 'UnavailableError']

/** Reads DAGs that anybody may have made; what a library throws where one is not as it expects it counts as damage */
export function untrustedReader(blockstore: Pick<DurableBlockstore, 'read'>): ContentReader {
  const reader = verifiedReader(blockstore)
  return {
    read: (...args) => itemsOf(reader.read(...args)),
    list: (...args) => itemsOf(reader.list(...args)),
    find: async (...args) => await asDamage(async () => await reader.find(...args)),
    canonical: async (...args) => await asDamage(async () => await reader.canonical(...args)),
  }
}

/** @throws DamagedBlockError where `work` fails with anything but an error of the system, or one that has a name of ours */
export async function asDamage<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (err) {
    const { message, name, syscall } = err as NodeJS.ErrnoException
    if (syscall !== undefined || named.includes(name)) {
      throw err
    }
    throw new DamagedBlockError(`a DAG is not what it should be: ${message}`, { cause: err })
  }
}

async function* itemsOf<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (
      let next = await asDamage(async () => await iterator.next());
      next.done !== true;
      next = await asDamage(async () => await iterator.next())
    ) {
      yield next.value
    }
  } finally {
    await iterator.return?.()
  }
}
