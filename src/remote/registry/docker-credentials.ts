/**
 * Log-ins that `docker login` and `ipdr login` store: in `auths` of Docker's config.json, or in a credential helper,
 * which is a program of its own.
 *
 * @see https://docs.docker.com/reference/cli/docker/login/#credential-stores
 */
import type { AbortOptions } from '../abort-options.ts'
import { eraseFromHelper, getFromHelper, storeInHelper } from './credential-helper.ts'
import { readDockerConfig, readDockerConfigToChange, writeDockerConfig, type DockerConfig } from './docker-config.ts'

/** Docker Hub: its hosts, and the key under which `docker login` stores its log-in */
const dockerHub = { hosts: ['registry-1.docker.io', 'docker.io'], key: 'https://index.docker.io/v1/' }

export interface Credentials {
  username: string
  password: string
  /** Used instead of user and password, if the registry gave one at the log-in */
  identityToken?: string | undefined
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
  const config = await readDockerConfig(file)
  const key = dockerKeyOf(host)
  const helper = helperOf(config, key)
  return (helper === undefined ? undefined : await getFromHelper(helper, key)) ?? stored(config, key)
}

/**
 * Stores a log-in where the configuration of Docker says: in a helper, or in the file itself
 *
 * @returns the helper, or undefined for the file, where everybody who can read it has the secret
 * @throws ClientError if it can't be stored
 */
export async function storeCredentials(
  file: string,
  host: string,
  credentials: Credentials,
  options: AbortOptions = {},
): Promise<string | undefined> {
  const config = await readDockerConfigToChange(file)
  const key = dockerKeyOf(host)
  const helper = helperOf(config, key)
  if (helper !== undefined) {
    await storeInHelper(helper, key, credentials, options)
  }
  const { identityToken, password, username } = credentials
  const auth = Buffer.from(`${username}:${identityToken === undefined ? password : ''}`).toString('base64')
  // with a helper, an empty entry says that there is a log-in, as Docker does it
  const entry =
    helper !== undefined ? {} : identityToken === undefined ? { auth } : { auth, identitytoken: identityToken }
  await writeDockerConfig(file, { ...config, auths: { ...config.auths, [key]: entry } })
  return helper
}

/**
 * Takes a log-in out of the file and its helper
 *
 * @returns whether there was one
 * @throws ClientError if the file or the helper does not let go of it
 */
export async function eraseCredentials(file: string, host: string, options: AbortOptions = {}): Promise<boolean> {
  const config = await readDockerConfigToChange(file)
  const key = dockerKeyOf(host)
  const helper = helperOf(config, key)
  const erased = helper !== undefined && (await eraseFromHelper(helper, key, options))
  const names = namesOf(key).filter(name => own(config.auths, name) !== undefined)
  if (names.length > 0) {
    const others = Object.entries(config.auths!).filter(([name]) => !names.includes(name))
    await writeDockerConfig(file, { ...config, auths: Object.fromEntries(others) })
  }
  return erased || names.length > 0
}

/** The key of a registry's log-in */
export function dockerKeyOf(host: string): string {
  return dockerHub.hosts.includes(host) ? dockerHub.key : host
}

function helperOf({ credHelpers, credsStore }: DockerConfig, key: string): string | undefined {
  return own(credHelpers, key) ?? (credsStore === '' ? undefined : credsStore)
}

/** Under which a log-in may be stored: older programs write URLs */
function namesOf(key: string): string[] {
  return [key, `https://${key}`, `http://${key}`, `https://${key}/v1/`]
}

function stored(config: DockerConfig, key: string): Credentials | undefined {
  const entry = namesOf(key)
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
