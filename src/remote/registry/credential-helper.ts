/**
 * Programs that keep log-ins, such as in the keychain of the system: `docker-credential-<name>` is run with a word that
 * says what to do, and reads and writes JSON.
 *
 * @see https://github.com/docker/docker-credential-helpers
 */
import { execFile } from 'node:child_process'
import type { AbortOptions } from '../abort-options.ts'
import { ClientError } from '../errors.ts'
import { helperTimeout } from '../timeouts.ts'
import type { Credentials } from './docker-credentials.ts'

/** Name of the user that a helper keeps with an identity token */
const tokenUser = '<token>'
const maxOutputBytes = 256 * 1024
/** Characters of a helper's message that are shown */
const maxShown = 200

/**
 * @returns undefined if the helper has no log-in under this key, or fails
 * @throws ClientError if the name is not one of a helper
 */
export async function getFromHelper(helper: string, key: string): Promise<Credentials | undefined> {
  try {
    const { Secret, Username } = JSON.parse(await run(helper, 'get', key)) as { Username?: unknown; Secret?: unknown }
    if (typeof Username !== 'string' || typeof Secret !== 'string') {
      return undefined
    }
    return Username === tokenUser
      ? { username: '', password: '', identityToken: Secret }
      : { username: Username, password: Secret }
  } catch (err) {
    if (err instanceof InvalidHelperError) {
      throw err
    }
    // a helper fails for a registry without a log-in
    return undefined
  }
}

/** @throws ClientError if the helper does not keep it */
export async function storeInHelper(
  helper: string,
  key: string,
  { identityToken, password, username }: Credentials,
  options: AbortOptions = {},
): Promise<void> {
  const Secret = identityToken ?? password
  const entry = { ServerURL: key, Username: identityToken === undefined ? username : tokenUser, Secret }
  try {
    await run(helper, 'store', JSON.stringify(entry), options)
  } catch (err) {
    throw explain(err, `${programOf(helper)} does not store the log-in`, Secret)
  }
}

/** @returns whether the helper had a log-in under this key */
export async function eraseFromHelper(helper: string, key: string, options: AbortOptions = {}): Promise<boolean> {
  if ((await getFromHelper(helper, key)) === undefined) {
    return false
  }
  try {
    await run(helper, 'erase', key, options)
    return true
  } catch (err) {
    throw explain(err, `${programOf(helper)} does not erase the log-in`)
  }
}

class InvalidHelperError extends ClientError {}

function programOf(helper: unknown): string {
  if (typeof helper !== 'string' || !/^[\w.-]+$/.test(helper)) {
    throw new InvalidHelperError(`credential helper "${String(helper)}" has no valid name`)
  }
  return `docker-credential-${helper}`
}

/** @throws what `execFile` throws, with what the program printed */
async function run(helper: string, action: string, input: string, { signal }: AbortOptions = {}): Promise<string> {
  const { promise, reject, resolve } = Promise.withResolvers<string>()
  const options = { timeout: helperTimeout, maxBuffer: maxOutputBytes, signal }
  const child = execFile(programOf(helper), [action], options, (err, stdout, stderr) => {
    err === null ? resolve(stdout) : reject(Object.assign(err, { stdout, stderr }))
  })
  child.stdin?.on('error', () => {})
  child.stdin?.end(input)
  return await promise
}

/** @param secret not to be shown, even if the helper prints it */
function explain(err: unknown, what: string, secret?: string): unknown {
  const { code, name, stderr = '', stdout = '' } = err as Record<string, string | undefined>
  if (err instanceof InvalidHelperError || name === 'AbortError') {
    return err
  }
  const said = `${stdout} ${stderr}`.trim()
  const reason =
    code === 'ENOENT'
      ? 'there is no such program'
      : secret !== undefined && said.includes(secret)
        ? ''
        : said.slice(0, maxShown)
  return new ClientError([what, reason].filter(Boolean).join(': '))
}
