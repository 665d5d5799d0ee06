import type { Request } from 'express'
import { OciError, type OciErrorCode } from '../oci/errors.ts'
import { smallBody, type BodyMemory, type HeldBody } from './body-memory.ts'
import { changeOf, leaveUnread } from './late-body.ts'
import { steadyBody, type BodyRate } from './steady-body.ts'

export interface WholeBodyInit {
  maxBytes: number
  /** What a longer body gets */
  tooLarge: OciErrorCode
  rate: BodyRate
  memory: BodyMemory
}

/** Bytes whose memory counts until they are disposed of */
export interface WholeBody extends Disposable {
  bytes: Uint8Array
}

/** Memory is taken by pieces of what has come so far, within these: a body of bytes that come one by one is no list of a million of them */
const leastPiece = 4 * 1024
const mostPiece = 256 * 1024

/**
 * Reads a request body into memory
 *
 * @throws OciError with `tooLarge` where it is longer than `maxBytes`; REQUEST_TIMEOUT where it comes more slowly than `rate`; TOOMANYREQUESTS or
 *   UNAVAILABLE where there is no room for it
 */
export async function readBody(req: Request, init: WholeBodyInit): Promise<WholeBody> {
  const { maxBytes, tooLarge, memory } = init
  const length = contentLength(req)
  if (length !== undefined && length > maxBytes) {
    throw new OciError(tooLarge, { detail: { maxBytes } })
  }
  const held = memory.open(req.socket.remoteAddress, length)
  try {
    const bytes = await collect(req, length, held, init)
    held.isWhole = true
    return {
      bytes,
      [Symbol.dispose]: () => {
        held[Symbol.dispose]()
      },
    }
  } catch (err) {
    held[Symbol.dispose]()
    if (isRefusal(err)) {
      leaveUnread(req)
    }
    throw err
  }
}

async function collect(
  req: Request,
  length: number | undefined,
  held: HeldBody,
  { maxBytes, tooLarge, rate }: WholeBodyInit,
): Promise<Uint8Array> {
  const pieces: Array<Uint8Array<ArrayBuffer>> = []
  let piece = new Uint8Array()
  let filled = 0
  let size = 0
  try {
    for await (const chunk of steadyBody(chunksOf(req, held.lost), rate)) {
      if (size + chunk.byteLength > maxBytes) {
        throw new OciError(tooLarge, { detail: { maxBytes } })
      }
      for (let taken = 0; taken < chunk.byteLength; ) {
        if (filled === piece.byteLength) {
          const left = Math.max((length ?? maxBytes) - size, chunk.byteLength - taken)
          const wanted = Math.min(left, Math.max(size, leastPiece), mostPiece)
          // of HTTP/2, what is under way comes all the same
          await held.take(wanted, req.httpVersionMajor === 1 || (length !== undefined && left <= smallBody))
          piece = new Uint8Array(wanted)
          pieces.push(piece)
          filled = 0
        }
        const part = chunk.subarray(taken, taken + piece.byteLength - filled)
        piece.set(part, filled)
        filled += part.byteLength
        taken += part.byteLength
        size += part.byteLength
      }
      if (req.httpVersionMajor === 1 && chunk.byteLength === chunk.buffer.byteLength) {
        // Node's parser made it for this body alone; of HTTP/2, others may have a part of the same memory
        free(chunk as Uint8Array<ArrayBuffer>)
      }
    }
    return Buffer.concat(pieces, size)
  } finally {
    pieces.forEach(free)
  }
}

/** At once: garbage of this kind can be many times what is reserved before anybody collects it */
function free({ buffer }: Uint8Array<ArrayBuffer>): void {
  buffer.transfer(0)
}

/** Unlike the stream's own iterator, it can be given up while it waits */
async function* chunksOf(req: Request, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  while (!req.readableEnded) {
    signal.throwIfAborted()
    const chunk = req.read() as Uint8Array | null
    if (chunk !== null) {
      yield chunk
    } else if (req.destroyed) {
      throw req.errored ?? Object.assign(new Error('aborted'), { code: 'ECONNRESET' })
    } else {
      await changeOf(req, signal)
    }
  }
}

/** Whether there was no room: then there is none for what is still to come either */
function isRefusal(err: unknown): boolean {
  return err instanceof OciError && (err.code === 'TOOMANYREQUESTS' || err.code === 'UNAVAILABLE')
}

function contentLength(req: Request): number | undefined {
  const length = req.get('Content-Length')
  return length === undefined ? undefined : Number(length)
}
