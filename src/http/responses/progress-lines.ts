import type { Response } from 'express'
import type { Logger } from '../../log.ts'
import { jsonBody, toClientError } from '../error-response.ts'

/** Milliseconds between two lines, which also keep proxies from closing the connection as idle */
const interval = 1000
const itemsOfLine = 1000

/**
 * Answers with lines of JSON while work takes long: `{"progress":...}` once a second, `{"items":[...]}` where it finds
 * much, at the end `{"result":...}` or `{"error":"<message>"}`. The work goes on if the client disconnects.
 *
 * @throws the error of the work, if it fails before the first line: then it still gets a status of its own
 */
export async function sendProgress<Progress, Result, Item = never>(
  res: Response,
  log: Logger,
  work: (onProgress: (progress: Progress) => void, onItems: (items: readonly Item[]) => void) => Promise<Result>,
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
        result: await work(
          latest => {
            progress = latest
          },
          items => {
            for (let from = 0; from < items.length; from += itemsOfLine) {
              write(JSON.stringify({ items: items.slice(from, from + itemsOfLine) }))
            }
          },
        ),
      }),
    )
  } catch (err) {
    if (!res.headersSent) {
      throw err
    }
    log.error('work failed after its response had begun', { err })
    write(jsonBody(toClientError(err)).body)
  } finally {
    clearInterval(timer)
  }
  res.end()
}
