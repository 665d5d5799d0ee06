import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Connection } from './appliance-client.ts'
import { ClientError } from '../errors.ts'
import { send, type Answer, type SendInit } from '../http/request.ts'
import { isLoopback } from '../http/plain-http.ts'

/** The path of a socket, as the system takes it until it is disposed of */
export interface OpenPath extends Disposable {
  path: string
}

/** To the server of this machine, by the socket in its data directory */
export class SocketConnection implements Connection {
  readonly host: string
  readonly #open: () => OpenPath

  /** @param name - the path of the socket, for people */
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
        return new ClientError(`no server answers at ${this.host}`, {
          cause: err,
          hint: 'Is it running? --data-dir names its data directory; --docker-registry-host and --admin-token-file reach one elsewhere.',
        })
      case 'EACCES':
        return new ClientError(`no permission for ${this.host}${await ownerOf(this.host)}`, {
          cause: err,
          hint: 'Run this as that user or as root.',
        })
      default:
        return err
    }
  }
}

export interface TokenConnectionInit {
  /** `host`, `host:port`, or with `http://` or `https://` before it; without, only `localhost` and loopback addresses are asked without TLS */
  host: string
  plainHttp: boolean
  token: string | undefined
}

/** To any server, with the token of its administration */
export class TokenConnection implements Connection {
  readonly host: string
  /** Where it is asked */
  readonly url: URL
  readonly #token: string | undefined

  /** @throws ClientError where the host has no valid name */
  constructor({ host, plainHttp, token }: TokenConnectionInit) {
    this.url = urlOf(host, plainHttp)
    this.host = this.url.host
    this.#token = token
  }

  /** @throws ClientError */
  async request(path: string, init: SendInit = {}): Promise<Answer> {
    const authorization: Record<string, string> =
      this.#token === undefined ? {} : { Authorization: `Bearer ${this.#token}` }
    // without TLS it has been asked for, or is this machine
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
      this.#token === undefined
        ? `${this.host} can only be administered with its token`
        : `${this.host} has another token than this one`,
      {
        hint: 'The token is the file admin.token in its data directory: give it with --admin-token-file. On its own machine, --data-dir needs none.',
      },
    )
  }
}

/** A token never goes without TLS to what only a name says is this machine */
function urlOf(host: string, plainHttp: boolean): URL {
  const [, scheme, rest = ''] = /^(https?:\/\/)?([^/?#@\\]+)\/?$/i.exec(host) ?? []
  const url = URL.parse(`http://${rest}`)
  if (url === null) {
    throw new ClientError(`"${host}" is not the host of an appliance`, {
      hint: 'A host is written like localhost:5000, registry.example or http://registry.example:5000.',
    })
  }
  return new URL(`${scheme ?? (plainHttp || isLoopback(url.hostname) ? 'http://' : 'https://')}${rest}`)
}

/** Of the nearest directory above it, where its own can't be asked for */
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
