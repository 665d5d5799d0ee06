import { setTimeout as sleep } from 'node:timers/promises'
import type { Request, Response } from 'express'
import { raceSignal } from 'race-signal'
import { abortableBody } from './abortable-body.ts'
import { directBodyOf } from './direct-bodies.ts'
import { widenWindow } from './http2.ts'
import type { BodyTurns } from './body-turns.ts'
import { steadyBody, type BodyRate } from './steady-body.ts'

/** How long to wait for Node to release a chunk after the connection is closed; milliseconds */
const timeToLetGo = 1000

/**
 * The body of a request as a stream of chunks. A chunk may be overwritten once the next one is asked for. Unlike the
 * iterator of Node's stream, it leaves the connection open if the reader stops early, so that an error can be answered.
 *
 * Iterators wrap the source, which is Node's stream or a direct body: `turns` lets other requests have the main thread
 * in between, `steadyBody` refuses clients that are too slow, `abortableBody` ends when it must.
 *
 * @param rate the least that the client has to send. @default no least
 * @param signal ends the body with its reason. @default none
 * @throws OciError REQUEST_TIMEOUT if it comes more slowly
 */
export function bodyOf(
  req: Request,
  turns: BodyTurns,
  rate?: BodyRate,
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  widenWindow(req)
  const body = turns.pass(directBodyOf(req) ?? req.iterator({ destroyOnReturn: false }))
  const steady = rate === undefined ? body : steadyBody(body, rate)
  return signal === undefined ? steady : abortableBody(steady, signal)
}

/**
 * Writes a body to a response, as fast as the client reads it, and leaves the response open. Waits until Node has
 * passed a chunk on, or has given it up, before it asks for the next one or ends the iteration: the source may then
 * overwrite the memory of the chunk.
 */
export async function writeBody(res: Response, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  for await (const chunk of source) {
    const { promise: sent, resolve, reject } = Promise.withResolvers<void>()
    res.write(chunk, err => {
      err === undefined || err === null ? resolve() : reject(err)
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
