import { maxBlockBytes } from '../blocks/block.ts'
import type { StoreOptions } from '../content-store.ts'
import { DamagedBlockError, UnavailableError } from '../errors.ts'

const second = 1000
/** For one request; long, as the node that is asked may have to find the block first */
const requestTimeout = 120 * second

export interface FetchBytesInit extends StoreOptions {
  method?: string
  headers?: Record<string, string>
  body?: Uint8Array | FormData
  /**
   * Milliseconds
   *
   * @default 2 minutes
   */
  timeout?: number
}

/**
 * Sends a request to a kubo or gateway, and reads its answer, which is a block or shorter
 *
 * @throws UnavailableError where it can't be reached, does not answer in time, or answers with an error;
 *   DamagedBlockError where the answer is longer than a block
 */
export async function fetchBytes(
  url: URL,
  { signal, timeout = requestTimeout, body, ...init }: FetchBytesInit = {},
): Promise<Uint8Array> {
  const limit = AbortSignal.timeout(timeout)
  try {
    const response = await fetch(url, {
      ...init,
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> | FormData }),
      signal: AbortSignal.any([limit, ...(signal === undefined ? [] : [signal])]),
    })
    const bytes = await readAll(response, url)
    if (!response.ok) {
      throw new UnavailableError(`${url.host} answered ${response.status}: ${messageOf(bytes)}`)
    }
    return bytes
  } catch (err) {
    signal?.throwIfAborted()
    if (err instanceof UnavailableError || err instanceof DamagedBlockError) {
      throw err
    }
    const cause = (err as Error).cause as NodeJS.ErrnoException | undefined
    throw new UnavailableError(
      limit.aborted
        ? `${url.host} did not answer within ${timeout / second} s`
        : `${url.host} can't be reached: ${cause?.message || cause?.code || String(err)}`,
      { cause: err },
    )
  }
}

async function readAll(response: Response, url: URL): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    // throwing out of the loop cancels the response
    if (size > maxBlockBytes) {
      throw new DamagedBlockError(`${url.host} sent more than the ${maxBlockBytes} bytes of the largest block`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** What kubo says in its JSON, else the beginning of the text */
function messageOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString().trim()
  try {
    return String((JSON.parse(text) as { Message?: string }).Message)
  } catch {
    return text.slice(0, 200)
  }
}
