/** Docker's config.json, of which only the log-ins are of interest here: everything else in it stays as it is */
import { readFile } from 'node:fs/promises'
import { ClientError } from '../errors.ts'
import { replaceFile } from '../replace-file.ts'

export interface DockerConfig {
  auths?: Record<string, StoredLogIn>
  /** Names of programs that keep log-ins, by registry */
  credHelpers?: Record<string, string>
  /** The program that keeps all others */
  credsStore?: string
}

export interface StoredLogIn {
  /** `<user>:<password>` in base64 */
  auth?: string
  username?: string
  password?: string
  identitytoken?: string
}

/**
 * @returns nothing for a file that is not there
 * @throws ClientError if the file can't be read
 */
export async function readDockerConfig(file: string): Promise<DockerConfig> {
  const config = await readJson(file)
  return typeof config === 'object' && config !== null ? config : {}
}

/**
 * The same, to be written back
 *
 * @throws ClientError if the file can't be read, or holds something that would be lost
 */
export async function readDockerConfigToChange(file: string): Promise<DockerConfig> {
  const config = await readJson(file)
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new ClientError(`${file} holds something else than a configuration of Docker, and is left as it is`)
  }
  return config
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
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

/**
 * Replaces the file as a whole by one that only its owner can read; a link stays, and leads to the new one
 *
 * @throws ClientError if the file can't be written
 */
export async function writeDockerConfig(file: string, config: DockerConfig): Promise<void> {
  try {
    // as Docker writes it
    await replaceFile(file, `${JSON.stringify(config, undefined, '\t')}\n`, { mode: 0o600, directoryMode: 0o700 })
  } catch (err) {
    throw new ClientError(`${file} can't be written: ${(err as Error).message}`, { cause: err })
  }
}
