import { setTimeout as sleep } from 'node:timers/promises'
import type { Request, Response } from 'express'
import { raceSignal } from 'race-signal'
import { directBodyOf } from './direct-bodies.ts'
import { widenWindow } from './http2.ts'
import { inTurns } from './in-turns.ts'
import { steadyBody, type BodyRate } from './steady-body.ts'

/** In which Node lets go of a chunk after its connection was closed; milliseconds */
const timeToLetGo = 1000

/**
 * The body of a request, each chunk to be used before the next one is asked for. Who stops reading it can still answer: the stream's own
 * iterator would close the connection then.
 *
 * @throws OciError REQUEST_TIMEOUT where it comes more slowly than `rate`
 */
export function bodyOf(req: Request, rate?: BodyRate): AsyncIterable<Uint8Array> {
  widenWindow(req)
  const body = inTurns(directBodyOf(req) ?? req.iterator({ destroyOnReturn: false }))
  return rate === undefined ? body : steadyBody(body, rate)
}

/**
 * Writes to a response as fast as the client takes it; the response is not ended. A chunk has left for the system, or
 * never will, before the next one is asked for or the iteration ended, as the source may overwrite it then.
 */
export async function writeBody(res: Response, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  for await (const chunk of source) {
    const { promise: sent, resolve, reject } = Promise.withResolvers<void>()
    res.write(chunk, err => {
      err == null ? resolve() : reject(err)
    })
    try {
      await raceSignal(sent, signal)
    } catch (err) {
      res.destroy()
      await Promise.race([sent.catch(() => {}), sleep(timeToLetGo, undefined, { ref: false })])
      throw err
    }
  }
}
