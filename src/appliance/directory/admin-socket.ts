import type { RequestListener } from 'node:http'
import { chmod, rm, stat } from 'node:fs/promises'
import { openSocketPath, type SocketPath } from './admin-socket-path.ts'
import { isOpenToOthers, ownerOnly } from './file-modes.ts'
import { HttpServer, type HttpServerOptions } from '../../http/server.ts'
import type { Logger } from '../../log.ts'

/**
 * Answers whoever may open the socket in the data directory: the user of the server, and root. Where the file system
 * has no sockets, the log says so and the server goes on, as the token works all the same.
 */
export class AdminSocket {
  readonly #app: RequestListener
  readonly #log: Logger
  readonly #dataDir: string
  readonly #init: HttpServerOptions
  #path: SocketPath | undefined
  #server: HttpServer | undefined

  constructor(
    { app, log }: { app: RequestListener; log: Logger },
    { dataDir, ...init }: HttpServerOptions & { dataDir: string },
  ) {
    this.#app = app
    this.#log = log
    this.#dataDir = dataDir
    this.#init = init
  }

  async start(): Promise<void> {
    if (process.platform === 'win32') {
      this.#log.info('no socket for administration on this system: administration needs the token')
      return
    }
    try {
      await this.#listen()
    } catch (err) {
      await this.stop()
      this.#log.warn('no socket for administration: administration needs the token', {
        directory: this.#dataDir,
        reason: (err as Error).message,
      })
    }
  }

  async stop(): Promise<void> {
    await this.#server?.stop()
    this.#path?.[Symbol.dispose]()
    this.#server = undefined
    this.#path = undefined
  }

  async #listen(): Promise<void> {
    this.#path = openSocketPath(this.#dataDir)
    const { name, path } = this.#path
    // it is left over from a server that was killed: the lock of the index keeps other servers away
    await rm(name, { force: true })
    this.#server = new HttpServer({ app: this.#app }, { ...this.#init, path })
    await this.#server.start()
    await chmod(name, ownerOnly.file)
    if (isOpenToOthers(await stat(name))) {
      throw new Error(`${name} is open to other users, and its file system can't change that`)
    }
  }
}
