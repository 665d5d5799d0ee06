import { maxBlockBytes } from '../blocks/block.ts'
import type { StoreOptions } from '../content-store.ts'
import { DamagedBlockError, UnavailableError } from '../errors.ts'

const second = 1000
/** For one request: a node may have to find the block first */
const requestTimeout = 120 * second

export interface FetchBytesInit extends StoreOptions {
  method?: string
  headers?: Record<string, string>
  body?: Uint8Array | FormData
  /** Milliseconds. @default 2 minutes */
  timeout?: number
}

/**
 * A small answer of an IPFS node or gateway
 *
 * @throws UnavailableError where it can't be reached, does not answer in time, or has not what it is asked for
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
      signal: AbortSignal.any([limit, ...(signal == null ? [] : [signal])]),
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

/**
 * The address of an IPFS node or gateway, as `host:port`, URL or multiaddr
 *
 * @throws RangeError where it is none of them
 */
export function parseHttpAddress(text: string): URL {
  const [, protocol, host, port, secure] =
    /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d+)(?:\/(https?|tls\/http))?\/?$/.exec(text) ?? []
  const url =
    protocol === undefined
      ? /^https?:\/\//i.test(text)
        ? text
        : `http://${text}`
      : `${secure === undefined || secure === 'http' ? 'http' : 'https'}://${protocol === 'ip6' ? `[${host}]` : host}:${port}`
  if (!URL.canParse(url) || (protocol === undefined && text.startsWith('/'))) {
    throw new RangeError(`"${text}" is neither host:port nor a URL nor a multiaddr`)
  }
  const parsed = new URL(url)
  // paths below are relative to it
  parsed.pathname = parsed.pathname.endsWith('/') ? parsed.pathname : `${parsed.pathname}/`
  return parsed
}

async function readAll(response: Response, url: URL): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    // leaving the loop cancels the response
    if (size > maxBlockBytes) {
      throw new DamagedBlockError(`${url.host} sent more than a block`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function messageOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString().trim()
  try {
    return String((JSON.parse(text) as { Message?: string }).Message)
  } catch {
    return text.slice(0, 200)
  }
}
