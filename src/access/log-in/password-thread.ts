import { TaskThread } from '../../scheduling/task-thread.ts'
import { bcryptSource } from './bcrypt-source.ts'

/** A comparison takes some 60 ms of a processor: whoever waits behind as many waits for longer than most clients do */
const maxWaiting = 100

/**
 * Compares passwords with bcrypt hashes on a thread of its own, which starts with the first; other requests do not wait
 * for it
 */
export class PasswordThread {
  #thread: TaskThread<{ password: string; hash: string }, { id: number; matches: boolean }> | undefined

  /** Whether so many passwords wait that another one has to be refused */
  get isBusy(): boolean {
    return this.#thread !== undefined && this.#thread.waiting >= maxWaiting
  }

  async matches(password: string, hash: string): Promise<boolean> {
    this.#thread ??= new TaskThread(threadSource())
    const { matches } = await this.#thread.ask(this.#thread.worker(), { password, hash })
    return matches
  }

  async stop(): Promise<void> {
    await this.#thread?.stop()
  }
}

function threadSource(): string {
  return `
const { parentPort: port } = require('node:worker_threads')
const loaded = { exports: {} }
;((module, exports) => { ${bcryptSource()}
})(loaded, loaded.exports)
const bcrypt = loaded.exports
port.on('message', ({ id, password, hash }) => {
  port.postMessage({ id, matches: bcrypt.compareSync(password, hash) })
})
`
}
