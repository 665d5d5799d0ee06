import type { Response } from 'express'
import type { Logger } from '../../log.ts'
import { jsonBody, toClientError } from '../error-response.ts'

/** Between two lines; it also keeps the connection from looking dead */
const interval = 1000

/**
 * Answers with lines of JSON while something takes long: `{"progress":...}` now and then, at last `{"result":...}` or `{"error":"<message>"}`.
 * What fails before the first line is thrown, for a status of its own. A client that goes away stops nothing.
 */
export async function sendProgress<Progress, Result>(
  res: Response,
  log: Logger,
  work: (onProgress: (progress: Progress) => void) => Promise<Result>,
): Promise<void> {
  let progress: Progress | undefined
  const write = (line: string): void => {
    if (res.closed) {
      return
    }
    if (!res.headersSent) {
      res.set('Content-Type', 'application/x-ndjson')
    }
    res.write(`${line}\n`)
  }
  const timer = setInterval(() => {
    write(JSON.stringify({ progress }))
  }, interval)
  try {
    write(
      JSON.stringify({
        result: await work(latest => {
          progress = latest
        }),
      }),
    )
  } catch (err) {
    if (!res.headersSent) {
      throw err
    }
    log.error('failed after the first line of an answer', { err })
    write(jsonBody(toClientError(err)).body)
  } finally {
    clearInterval(timer)
  }
  res.end()
}
