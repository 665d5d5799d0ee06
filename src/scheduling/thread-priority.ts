/**
 * Gives the main thread, which answers clients, priority over the threads that read, write and hash. Where more threads
 * are busy than there are processors, it would otherwise wait for milliseconds. Works on Linux, where each thread has a
 * priority of its own; elsewhere nothing happens. Only src/appliance changes the threads of the process.
 */
import { readdir, readFile } from 'node:fs/promises'
import { getPriority, setPriority } from 'node:os'

const threads = '/proc/self/task'
/** In the units of `nice` */
const lower = Math.min(19, getPriority() + 5)

/** Code with which a thread lowers its own priority */
export const lowerOwnPriority = `try {
  const thread = require('node:fs').readlinkSync('/proc/thread-self').split('/').pop()
  require('node:os').setPriority(Number(thread), ${lower})
} catch {}
`

/**
 * Lowers the priority of the threads that Node has for file system calls, which exist once the first call has been made
 */
export async function lowerPoolThreads(): Promise<void> {
  for (const thread of await readdir(threads).catch(() => [])) {
    try {
      if ((await readFile(`${threads}/${thread}/comm`, 'utf8')).trim() === 'libuv-worker') {
        setPriority(Number(thread), lower)
      }
    } catch {
      // the thread has ended, or the system does not allow it: it keeps its priority
    }
  }
}
