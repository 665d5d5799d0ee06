import { access, constants, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { StartError } from './start-error.ts'

/**
 * Checks that a directory can be written to, or made where it is missing
 *
 * @param what e.g. `data directory /srv/data`
 * @throws StartError
 */
export async function checkWritable(what: string, path: string): Promise<void> {
  try {
    await access(path, constants.R_OK | constants.W_OK)
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT' && dirname(path) !== path) {
      await checkWritable(what, dirname(path))
      return
    }
    throw await cannotUse(what, path, err)
  }
}

/** A StartError that says why a file or directory can't be used */
export async function cannotUse(what: string, path: string, err: unknown): Promise<StartError> {
  return new StartError(`${what} can't be used: ${await reasonOf(err as NodeJS.ErrnoException, path)}`, { cause: err })
}

async function reasonOf({ code, message }: NodeJS.ErrnoException, path: string): Promise<string> {
  switch (code) {
    case 'EACCES':
    case 'EPERM': {
      const owner = await stat(path).then(
        ({ uid }) => uid,
        () => undefined,
      )
      const user = process.getuid?.()
      const explanation =
        owner === undefined || owner === user
          ? ''
          : `: it belongs to user ${owner}, and this is user ${user}; chown -R ${user} it, or run as user ${owner}`
      return `no permission to write to ${path}${explanation}`
    }
    case 'EROFS':
      return 'it is read-only'
    case 'ENOTDIR':
    case 'EEXIST':
      return 'it is not a directory'
    case 'ENOSPC':
      return 'no space left'
    default:
      return message
  }
}
