import type { Request } from 'express'
import { contentLength } from './content-length.ts'
import { OciError, type OciErrorCode } from '../../oci/errors.ts'
import { smallBody, type BodyMemory, type HeldBody } from './body-memory.ts'
import { changeOf, leaveUnread } from './late-body.ts'
import { steadyBody, type BodyRate } from './steady-body.ts'

export interface WholeBodyInit {
  maxBytes: number
  /** Code of the error for a longer body */
  tooLarge: OciErrorCode
  rate: BodyRate
  memory: BodyMemory
}

/** A body in memory. The memory counts as used until this is disposed of. */
export interface WholeBody extends Disposable {
  bytes: Uint8Array
}

/**
 * The body is collected in pieces, each as large as all before it, within these bounds: so a body that comes byte by
 * byte is not a list of a million chunks.
 */
const leastPiece = 4 * 1024
const mostPiece = 256 * 1024

/**
 * Reads a request body into memory
 *
 * @throws OciError with `tooLarge` if it is longer than `maxBytes`; REQUEST_TIMEOUT if it comes more slowly than
 *   `rate`; TOOMANYREQUESTS or UNAVAILABLE if there is no memory for it
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
          // over HTTP/2 the client goes on sending while this waits, so only a short body may wait
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
        // Node's HTTP/1 parser allocated the chunk for this body alone; over HTTP/2 bodies may share memory
        free(chunk as Uint8Array<ArrayBuffer>)
      }
    }
    return Buffer.concat(pieces, size)
  } finally {
    pieces.forEach(free)
  }
}

/**
 * Frees the memory of a piece at once. Left to the garbage collector, pieces could add up to many times what is
 * reserved.
 */
function free({ buffer }: Uint8Array<ArrayBuffer>): void {
  buffer.transfer(0)
}

/** The chunks of a body; unlike with the iterator of Node's stream, a wait for the next one can be aborted */
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

/** Whether there was no memory for the body; then there is none to read and throw away the rest either */
function isRefusal(err: unknown): boolean {
  return err instanceof OciError && (err.code === 'TOOMANYREQUESTS' || err.code === 'UNAVAILABLE')
}
