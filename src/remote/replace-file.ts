import { randomUUID } from 'node:crypto'
import { chown, mkdir, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface ReplaceFileInit {
  /** Of the file; undefined: that of the old one, or else 0644 */
  mode?: number
  /** Of directories above it that are made. @default what the umask gives */
  directoryMode?: number
}

/** Replaces a file of somebody's as a whole. A link stays, and leads to the new one, which has the same owner. */
export async function replaceFile(
  path: string,
  text: string,
  { mode, directoryMode }: ReplaceFileInit = {},
): Promise<void> {
  await mkdir(dirname(path), { recursive: true, ...(directoryMode === undefined ? {} : { mode: directoryMode }) })
  const target = await realpath(path).catch(() => path)
  const old = await stat(target).catch(() => undefined)
  const partial = `${target}.${randomUUID()}.partial`
  try {
    await using file = await open(partial, 'wx', mode ?? old?.mode ?? 0o644)
    await file.writeFile(text)
    await file.sync()
    // with `sudo`, the file of a user would become one of root, which the user can't read any more
    if (old !== undefined && process.getuid?.() === 0) {
      await chown(partial, old.uid, old.gid)
    }
    await rename(partial, target)
  } catch (err) {
    await rm(partial, { force: true })
    throw err
  }
}
