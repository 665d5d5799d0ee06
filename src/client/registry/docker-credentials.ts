/**
 * Log-ins that `docker login` stored: in `auths` of Docker's config.json, or in a credential helper, which is a program
 * of its own.
 *
 * @see https://docs.docker.com/reference/cli/docker/login/#credential-stores
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { ClientError } from '../errors.ts'
import { helperTimeout } from '../timeouts.ts'

/** Docker Hub: its host, and the key under which `docker login` stores its log-in */
const dockerHub = { host: 'registry-1.docker.io', key: 'https://index.docker.io/v1/' }

export interface Credentials {
  username: string
  password: string
  /** Used instead of user and password, if the registry gave one at the log-in */
  identityToken?: string | undefined
}

interface DockerConfig {
  auths?: Record<string, { auth?: string; username?: string; password?: string; identitytoken?: string }>
  credHelpers?: Record<string, string>
  credsStore?: string
}

/**
 * The log-in for a registry
 *
 * @param file Docker's config.json
 * @param host `host` or `host:port`
 * @returns undefined if the user has not logged in there
 * @throws ClientError if the file can't be read
 */
export async function readCredentials(file: string, host: string): Promise<Credentials | undefined> {
  const config = await readConfig(file)
  const key = host === dockerHub.host ? dockerHub.key : host
  const helper = own(config.credHelpers, key) ?? config.credsStore
  return (helper === undefined ? undefined : await askHelper(helper, key)) ?? stored(config, key)
}

async function readConfig(file: string): Promise<DockerConfig> {
  try {
    const config: unknown = JSON.parse(await readFile(file, 'utf8'))
    return typeof config === 'object' && config !== null ? config : {}
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') {
      return {}
    }
    // not the message of a SyntaxError: it quotes a piece of the file, which may be a password
    throw new ClientError(
      err instanceof SyntaxError ? `${file} is not JSON` : `${file} can't be read: ${(err as Error).message}`,
      { cause: err },
    )
  }
}

function stored(config: DockerConfig, key: string): Credentials | undefined {
  const entry = [key, `https://${key}`, `http://${key}`, `https://${key}/v1/`]
    .map(name => own(config.auths, name))
    // a file that somebody edited may have a null here
    .find(found => found !== undefined && found !== null)
  const text = typeof entry?.auth === 'string' ? Buffer.from(entry.auth, 'base64').toString() : ''
  const colon = text.indexOf(':')
  const username = entry?.username ?? text.slice(0, Math.max(0, colon))
  const password = entry?.password ?? text.slice(colon + 1)
  return entry === undefined || (username === '' && entry.identitytoken === undefined)
    ? undefined
    : { username, password, identityToken: entry.identitytoken }
}

function own<T>(values: Record<string, T> | undefined, key: string): T | undefined {
  return values !== undefined && values !== null && Object.hasOwn(values, key) ? values[key] : undefined
}

async function askHelper(helper: string, key: string): Promise<Credentials | undefined> {
  if (typeof helper !== 'string' || !/^[\w.-]+$/.test(helper)) {
    throw new ClientError(`credential helper "${String(helper)}" has no valid name`)
  }
  const { promise, reject, resolve } = Promise.withResolvers<string>()
  const child = execFile(`docker-credential-${helper}`, ['get'], { timeout: helperTimeout }, (err, stdout) => {
    err === null ? resolve(stdout) : reject(err)
  })
  child.stdin?.on('error', () => {})
  child.stdin?.end(key)
  try {
    const { Secret, Username } = JSON.parse(await promise) as { Username?: unknown; Secret?: unknown }
    if (typeof Username !== 'string' || typeof Secret !== 'string') {
      return undefined
    }
    return Username === '<token>'
      ? { username: '', password: '', identityToken: Secret }
      : { username: Username, password: Secret }
  } catch {
    // a helper fails for a registry without a log-in
    return undefined
  }
}
