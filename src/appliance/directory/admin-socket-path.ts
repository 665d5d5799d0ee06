import { closeSync, constants, openSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const socketName = 'admin.sock'
/** Longest path of a socket that the system takes, in bytes, without the NUL at its end */
const maxBytes = process.platform === 'linux' ? 107 : 103

/** The socket by which an appliance is administered, in its data directory */
export interface SocketPath extends Disposable {
  /** The path by which everybody knows it */
  name: string
  /** The path that the system takes, until this is disposed of */
  path: string
}

/**
 * Shortens a path that is too long for a socket by way of its open directory, where the system can do that
 *
 * @throws Error with code ENAMETOOLONG where it can't, or what opening the directory throws
 */
export function openSocketPath(dataDir: string): SocketPath {
  const directory = resolve(dataDir)
  const name = join(directory, socketName)
  if (Buffer.byteLength(name) <= maxBytes) {
    return { name, path: name, [Symbol.dispose]: () => {} }
  }
  if (process.platform !== 'linux') {
    throw Object.assign(new Error(`${name} is longer than the ${maxBytes} bytes that the path of a socket may have`), {
      code: 'ENAMETOOLONG',
    })
  }
  const handle = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  return {
    name,
    path: `/proc/self/fd/${handle}/${socketName}`,
    [Symbol.dispose]: () => {
      closeSync(handle)
    },
  }
}
