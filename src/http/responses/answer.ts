import type { ServerResponse } from 'node:http'

/** Larger bodies are not copied */
const maxCopiedBytes = 16 * 1024

/** As `res.set()`, for headers that need no charset */
export function setHeaders(res: ServerResponse, headers: Record<string, string>): void {
  for (const name in headers) {
    res.setHeader(name, headers[name]!)
  }
}

/** Ends a response with bytes that are in memory, where they are few in one piece with the headers */
export function endWith(res: ServerResponse, bytes: Uint8Array | undefined): void {
  if (bytes === undefined || bytes.byteLength > maxCopiedBytes || res.req.httpVersionMajor > 1) {
    res.end(bytes)
  } else {
    // Node joins headers and body only where both are text; in this encoding, a character is a byte
    res.end(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'), 'latin1')
  }
}
