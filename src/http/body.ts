import type { Request, Response } from 'express'
import { once } from 'node:events'
import { OciError, type OciErrorCode } from '../oci/errors.ts'

/** Fires when the client is gone before its response is complete */
export function clientSignal (res: Response): AbortSignal {
  const controller = new AbortController()
  res.once('close', () => {
    if (!res.writableFinished) {
      controller.abort()
    }
  })
  return controller.signal
}

/**
 * Reads a request body into memory
 *
 * @throws OciError with `tooLarge` where it is longer than `maxBytes`
 */
export async function readBody (req: Request, maxBytes: number, tooLarge: OciErrorCode): Promise<Uint8Array> {
  const error = new OciError(tooLarge, { detail: { maxBytes } })
  if (Number(req.get('Content-Length')) > maxBytes) {
    throw error
  }
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of req as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > maxBytes) {
      throw error
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Writes to a response as fast as the client takes it; the response is not ended */
export async function writeBody (res: Response, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  for await (const chunk of source) {
    signal.throwIfAborted()
    if (!res.write(chunk)) {
      await once(res, 'drain', { signal })
    }
  }
}
