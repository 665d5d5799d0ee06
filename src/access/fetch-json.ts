/** Milliseconds for all of an answer */
const timeout = 5000
const maxBytes = 1024 * 1024

/** @throws Error where there is no JSON of at most 1 MiB within 5 s; redirects are not followed */
export async function fetchJson(url: string, { signal }: { signal: AbortSignal }): Promise<unknown> {
  const response = await fetch(url, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
    redirect: 'error',
    headers: { accept: 'application/json' },
  })
  if (!response.ok || response.body === null) {
    await response.body?.cancel()
    throw new Error(`${url} answered ${response.status}`)
  }
  const chunks: Uint8Array[] = []
  let bytes = 0
  // leaving the loop early cancels the body
  for await (const chunk of response.body) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) {
      throw new Error(`${url} answered more than ${maxBytes} bytes`)
    }
    chunks.push(chunk)
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}
