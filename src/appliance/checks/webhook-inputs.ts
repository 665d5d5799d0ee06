import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { reasonOf } from '../../config/entries.ts'
import type { Config } from '../../config/schema.ts'
import type { ListedWebhook, storeEvents } from '../../events/store-events.ts'
import { globMatcher } from '../../oci/globs.ts'
import { StartError } from '../directory/start-error.ts'

export interface WebhookInputs {
  storeEvents: typeof storeEvents
  listed: ListedWebhook[]
}

const second = 1000

/**
 * Reads what the configuration says about webhooks
 *
 * @returns undefined where no event is to be stored: then nothing is loaded that stores or sends them
 * @throws StartError if a file can't be read, or does not hold what it should
 */
export async function readWebhooks({ events, webhooks }: Config): Promise<WebhookInputs | undefined> {
  if (webhooks.length === 0 && events.history === undefined) {
    return undefined
  }
  const [{ storeEvents }, { readSecrets }] = await Promise.all([
    import('../../events/store-events.ts'),
    import('../../events/webhooks/signature.ts'),
  ])
  const listed = await Promise.all(
    webhooks.map(async ({ ca, events: kinds, name, repositories, secret, timeout, url, ...rest }) => {
      if (secret !== undefined) {
        // its content may change, so it is read anew for each request
        await checked(`secret ${secret} of webhook ${name}`, async () => await readSecrets(secret))
      }
      return {
        ...rest,
        name,
        secret,
        url: new URL(url),
        kinds: new Set(kinds),
        matches: globMatcher(repositories),
        ca: ca === undefined ? undefined : await checked(`CA ${ca} of webhook ${name}`, async () => await readCa(ca)),
        timeout: timeout * second,
      }
    }),
  )
  return { storeEvents, listed }
}

async function readCa(path: string): Promise<string> {
  const text = await readFile(path, 'utf8')
  return new X509Certificate(text) && text
}

/** @throws StartError */
async function checked<T>(what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (err) {
    const { code, message, name } = err as NodeJS.ErrnoException
    const problem =
      name === 'SecretError' ? message : code?.startsWith('ERR_') ? 'holds no certificate in PEM' : undefined
    throw new StartError(`${what} ${problem ?? `can't be read: ${reasonOf(err)}`}`, { cause: err })
  }
}
