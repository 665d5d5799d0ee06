/**
 * Log-ins of the Docker tools: `auths` of config.json, or a helper program that holds them.
 *
 * @see https://docs.docker.com/reference/cli/docker/login/#credential-stores
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { ClientError } from '../errors.ts'

const second = 1000
const helperTimeout = 30 * second
/** The registry that a name without a host means, under the key that `docker login` keeps it by */
const dockerHub = { host: 'registry-1.docker.io', key: 'https://index.docker.io/v1/' }

export interface Credentials {
  username: string
  password: string
  /** Takes the place of user and password where the registry gave one */
  identityToken?: string | undefined
}

interface DockerConfig {
  auths?: Record<string, { auth?: string; username?: string; password?: string; identitytoken?: string }>
  credHelpers?: Record<string, string>
  credsStore?: string
}

/**
 * @param file config.json
 * @param host `host` or `host:port`
 * @returns undefined where nobody has logged in
 * @throws ClientError where the file can't be read
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
    // what is wrong with JSON is told with a piece of it, which may be a log-in
    throw new ClientError(
      err instanceof SyntaxError ? `${file} is not JSON` : `${file} can't be read: ${(err as Error).message}`,
      { cause: err },
    )
  }
}

function stored(config: DockerConfig, key: string): Credentials | undefined {
  const entry = [key, `https://${key}`, `http://${key}`, `https://${key}/v1/`]
    .map(name => own(config.auths, name))
    .find(found => found != null)
  const text = typeof entry?.auth === 'string' ? Buffer.from(entry.auth, 'base64').toString() : ''
  const colon = text.indexOf(':')
  const username = entry?.username ?? text.slice(0, Math.max(0, colon))
  const password = entry?.password ?? text.slice(colon + 1)
  return entry === undefined || (username === '' && entry.identitytoken === undefined)
    ? undefined
    : { username, password, identityToken: entry.identitytoken }
}

function own<T>(values: Record<string, T> | undefined, key: string): T | undefined {
  return values != null && Object.hasOwn(values, key) ? values[key] : undefined
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
    // a helper fails for a host that it does not know
    return undefined
  }
}
