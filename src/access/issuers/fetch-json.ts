/** Milliseconds for all of an answer */
const timeout = 5000
const maxBytes = 1024 * 1024

/** @throws Error where there is no JSON of at most 1 MiB within 5 s; redirects are not followed */
export async function fetchJson(url: string, { signal }: { signal: AbortSignal }): Promise<unknown> {
  const response = await fetch(url, {
    signal: withTimeout(signal),
    redirect: 'error',
    headers: { accept: 'application/json' },
  })
  if (!response.ok || response.body === null) {
    await response.body?.cancel()
    throw new Error(`${url} answered ${response.status}`)
  }
  return JSON.parse((await readBounded(response, url)).toString('utf8'))
}

/**
 * As `fetch`, with the whole body, which has at most 1 MiB
 *
 * @throws Error where it is longer, or takes more than 5 s
 */
export async function fetchBounded(url: string, init: RequestInit & { signal: AbortSignal }): Promise<Response> {
  const response = await fetch(url, { ...init, signal: withTimeout(init.signal) })
  const { headers, status } = response
  const bytes = await readBounded(response, url)
  return new Response(bytes.byteLength === 0 ? null : Uint8Array.from(bytes), { headers, status })
}

function withTimeout(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(timeout)])
}

async function readBounded({ body }: Response, url: string): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  // leaving the loop early cancels the body
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) {
      throw new Error(`${url} answered more than ${maxBytes} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
