import { open } from 'node:fs/promises'

/** Resolves when the names of the files in a directory are on disk: syncing a file does not make its name durable */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path)
  await directory.sync()
}
