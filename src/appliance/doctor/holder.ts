import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * The process that has the lock of an index, found without taking it
 *
 * @returns undefined where nobody has it, or the system does not tell
 */
export async function holderOf(dataDir: string): Promise<number | undefined> {
  const [lock, locks] = await Promise.all([
    stat(join(dataDir, 'index', 'LOCK')).catch(() => undefined),
    readFile('/proc/locks', 'utf8').catch(() => ''),
  ])
  return lock === undefined ? undefined : findHolder(locks, lock)
}

/**
 * @param locks as `/proc/locks` lists them, such as `1: POSIX  ADVISORY  WRITE 1234 fd:01:5678 0 EOF`
 * @see https://man7.org/linux/man-pages/man5/proc_locks.5.html
 */
export function findHolder(locks: string, { dev, ino }: { dev: number; ino: number }): number | undefined {
  // as makedev of glibc puts the two numbers together
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)]
  const file = [major, minor].map(number => number.toString(16).padStart(2, '0')).join(':')
  for (const line of locks.split('\n')) {
    const [, pid, where] = /^\d+: \S+ +\S+ +WRITE +(\d+) (\S+) /.exec(line) ?? []
    if (where === `${file}:${ino}`) {
      return Number(pid)
    }
  }
  return undefined
}
