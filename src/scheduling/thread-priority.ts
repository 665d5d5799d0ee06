/**
 * The main thread, which answers clients, goes before those that read, write and hash: where there are fewer processors
 * than threads with work, it would wait for its turn for milliseconds. On Linux, where each thread has a priority of
 * its own; elsewhere nothing happens.
 */
import { readdir, readFile } from 'node:fs/promises'
import { getPriority, setPriority } from 'node:os'

const threads = '/proc/self/task'
/** As `nice` counts */
const lower = Math.min(19, getPriority() + 5)

/** What a thread runs to lower its own priority, as text */
export const lowerOwnPriority = `try {
  const thread = require('node:fs').readlinkSync('/proc/thread-self').split('/').pop()
  require('node:os').setPriority(Number(thread), ${lower})
} catch {}
`

/**
 * Lowers the priority of the threads that Node has for its file system calls; they are there once the first of these
 * was made
 */
export async function lowerPoolThreads(): Promise<void> {
  for (const thread of await readdir(threads).catch(() => [])) {
    try {
      if ((await readFile(`${threads}/${thread}/comm`, 'utf8')).trim() === 'libuv-worker') {
        setPriority(Number(thread), lower)
      }
    } catch {
      // the thread has ended, or the system does not allow it: all goes on as without
    }
  }
}
