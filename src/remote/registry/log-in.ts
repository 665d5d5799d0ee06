import type { AbortOptions } from '../abort-options.ts'
import { ClientError, ResponseError } from '../errors.ts'
import { requireStatus, type Answer } from '../http/answer.ts'
import { hostUrl } from '../http/host-url.ts'
import { isSameServer } from '../http/plain-http.ts'
import { send } from '../http/request.ts'
import { offeredLogIns } from './challenges.ts'
import type { Credentials } from './docker-credentials.ts'
import { basic, requestToken } from './token-server.ts'

/** Other names of Docker Hub than that of its registry */
const dockerHubNames = ['docker.io', 'index.docker.io']

export interface LogInInit {
  /** As in {@link hostUrl} */
  host: string
  username: string
  password: string
  /** Whether a registry on another machine may be reached without TLS. @default false */
  plainHttp?: boolean
}

export interface LogIn {
  /** `host` or `host:port`, by which the log-in is found again */
  host: string
  /** To be stored: the password, or instead of it a token if the registry gives one */
  credentials: Credentials
  /** Whether the registry has compared the password; false where it asks nobody for one */
  checked: boolean
}

/**
 * Logs in at a registry, which compares the password; nothing is stored
 *
 * @throws ClientError if the registry refuses user or password, or is none
 */
export async function logIn({ plainHttp = false, ...init }: LogInInit, { signal }: AbortOptions = {}): Promise<LogIn> {
  const url = registryUrl(init.host, plainHttp)
  const { password, username } = init
  const ping = async (headers: Record<string, string> = {}): Promise<Answer> => {
    const options = { headers, signal, plainHttp: plainHttp || url.protocol === 'http:' }
    const answer = await send(new URL('/v2/', url), options)
    await answer.text()
    return answer
  }
  const answer = await ping()
  if (answer.status !== 401) {
    await requireStatus(answer, 'log-in', 200)
    return { host: url.host, credentials: { username, password }, checked: false }
  }
  if (!isSameServer(new URL(answer.url), url)) {
    throw new ClientError(`${url.host} redirects to ${new URL(answer.url).host}: log in there`)
  }
  const offered = offeredLogIns(answer.headers.get('WWW-Authenticate') ?? '')
  if (offered.token === undefined && !offered.password) {
    throw new ClientError(`${url.host} offers no log-in with a password`)
  }
  let identityToken: string | undefined
  let authorization = basic({ username, password })
  if (offered.token !== undefined) {
    const request = { registry: url, params: offered.token, scopes: [], credentials: { username, password } }
    const tokens = await requestToken({ ...request, offline: true }, { signal }).catch((err: unknown) => {
      throw err instanceof ResponseError && err.status === 401 ? refusal(url) : err
    })
    identityToken = tokens.refreshToken
    authorization = `Bearer ${tokens.token}`
  }
  const second = await ping({ Authorization: authorization })
  if (second.status === 401) {
    throw refusal(url)
  }
  await requireStatus(second, 'log-in', 200)
  const isToken = identityToken !== undefined
  return { host: url.host, credentials: { username, password: isToken ? '' : password, identityToken }, checked: true }
}

/** The key of a host's log-in, as {@link logIn} returns it; throws ClientError if it is no host */
export function logInHost(host: string): string {
  return registryUrl(host, false).host
}

function registryUrl(host: string, plainHttp: boolean): URL {
  const url = hostUrl(host, plainHttp, 'a registry')
  return dockerHubNames.includes(url.host) ? new URL('https://registry-1.docker.io') : url
}

function refusal(url: URL): ClientError {
  return new ClientError(`${url.host} refuses this user name and password`)
}
