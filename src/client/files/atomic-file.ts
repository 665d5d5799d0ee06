import { randomUUID } from 'node:crypto'
import { lstat, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ClientError } from '../../remote/errors.ts'

/** Where a file is written until it is complete: a random name, so nobody can have put a link there */
export function partialPath(path: string): string {
  return `${path}.${randomUUID()}.partial`
}

/** Writes a file whole or not at all. A file of that name is replaced, and so is a link, which is not followed. */
export async function writeWhole(path: string, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
  const partial = partialPath(path)
  try {
    const file = await open(partial, 'wx')
    try {
      for await (const chunk of bytes) {
        await file.writeFile(chunk)
      }
    } finally {
      await file.close()
    }
    await rename(partial, path)
  } catch (err) {
    await rm(partial, { force: true })
    throw err
  }
}

/**
 * Makes a directory below another one, and the directories between them
 *
 * @throws ClientError if one of them is a link or a file
 */
export async function makeBelow(root: string, path: string): Promise<void> {
  if (path === '.') {
    return
  }
  await makeBelow(root, dirname(path))
  const directory = join(root, path)
  await mkdir(directory).catch((err: NodeJS.ErrnoException) => {
    if (err.code !== 'EEXIST') {
      throw err
    }
  })
  if (!(await lstat(directory)).isDirectory()) {
    throw new ClientError(`${directory} is a link or a file, not a directory: nothing is written there`)
  }
}
