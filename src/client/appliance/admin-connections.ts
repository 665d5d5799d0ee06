import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Connection } from './appliance-client.ts'
import { ClientError } from '../../remote/errors.ts'
import type { Answer } from '../../remote/http/answer.ts'
import { hostUrl } from '../../remote/http/host-url.ts'
import { send, type SendInit } from '../../remote/http/request.ts'

/** A path by which a socket can be connected to, until it is disposed of */
export interface OpenPath extends Disposable {
  path: string
}

/** No server listens on a socket */
export class NoServerError extends ClientError {}

/** Reaches the server of this machine by the socket in its data directory */
export class SocketConnection implements Connection {
  readonly host: string
  readonly #open: () => OpenPath

  /** @param name the path of the socket, as messages show it */
  constructor(name: string, open: () => OpenPath) {
    this.host = name
    this.#open = open
  }

  /** @throws ClientError */
  async request(path: string, init: SendInit = {}): Promise<Answer> {
    try {
      using socket = this.#open()
      return await send(new URL(path, 'http://admin.sock'), { ...init, plainHttp: true, socketPath: socket.path })
    } catch (err) {
      throw await this.#explain(err)
    }
  }

  async #explain(err: unknown): Promise<unknown> {
    const { code, cause } = err as { code?: string; cause?: { cause?: { code?: string } } }
    switch (cause?.cause?.code ?? code) {
      case 'ENOENT':
      case 'ECONNREFUSED':
        return new NoServerError(`no server answers at ${this.host}`, {
          cause: err,
          hint:
            'Is it running? --data-dir names its data directory; ' +
            '--docker-registry-host and --admin-token-file reach one on another machine.',
        })
      case 'EACCES':
        return new ClientError(`no permission to use ${this.host}${await ownerOf(this.host)}`, {
          cause: err,
          hint: 'Run this as that user or as root.',
        })
      default:
        return err
    }
  }
}

export interface TokenConnectionInit {
  /** As in {@link hostUrl} */
  host: string
  plainHttp: boolean
  token: string | undefined
}

/** Reaches a server anywhere, with its admin token */
export class TokenConnection implements Connection {
  readonly host: string
  /** Where requests go */
  readonly url: URL
  readonly #token: string | undefined

  /** @throws ClientError if the host is not one */
  constructor({ host, plainHttp, token }: TokenConnectionInit) {
    this.url = hostUrl(host, plainHttp, 'an appliance')
    this.host = this.url.host
    this.#token = token
  }

  /** @throws ClientError */
  async request(path: string, init: SendInit = {}): Promise<Answer> {
    const authorization: Record<string, string> =
      this.#token === undefined ? {} : { Authorization: `Bearer ${this.#token}` }
    // a URL of plain HTTP is this machine, or the user allowed it
    const answer = await send(new URL(path, this.url), {
      ...init,
      plainHttp: this.url.protocol === 'http:',
      headers: { ...init.headers, ...authorization },
    })
    if (answer.status !== 401) {
      return answer
    }
    await answer.text()
    throw new ClientError(
      this.#token === undefined ? `${this.host} wants its admin token` : `${this.host} refuses this admin token`,
      {
        hint:
          'The token is the file admin.token in the data directory of the server: give it with --admin-token-file. ' +
          'On the machine of the server, --data-dir needs no token.',
      },
    )
  }
}

/** Who a path belongs to, for a message; if it can't be read, the nearest directory above it counts */
async function ownerOf(path: string): Promise<string> {
  const owner = await stat(path).then(
    ({ uid }) => uid,
    () => undefined,
  )
  if (owner !== undefined) {
    return owner === process.getuid?.() ? '' : `: it belongs to user ${owner}, and this is user ${process.getuid?.()}`
  }
  return dirname(path) === path ? '' : await ownerOf(dirname(path))
}
