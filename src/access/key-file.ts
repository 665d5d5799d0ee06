import { open, readFile, rename, rm } from 'node:fs/promises'
import type { KeyStore } from './token-keys.ts'

/** Keys in a file that its owner alone can read, replaced as a whole */
export function keyFile(path: string): KeyStore {
  return {
    read: async () => {
      try {
        return await readFile(path, 'utf8')
      } catch (err) {
        if ((err as NodeJS.ErrnoException).code === 'ENOENT') {
          return undefined
        }
        throw err
      }
    },
    write: async text => {
      const temporary = `${path}.new`
      await rm(temporary, { force: true })
      await using file = await open(temporary, 'wx', 0o600)
      await file.chmod(0o600)
      await file.writeFile(text)
      await file.sync()
      await rename(temporary, path)
    },
  }
}
