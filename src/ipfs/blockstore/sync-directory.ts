import { open } from 'node:fs/promises'

/** Resolves when the names of what is in the directory are on disk */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
