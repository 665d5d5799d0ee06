import type { ErrorRequestHandler, NextFunction, Request, RequestHandler, Response } from 'express'

/**
 * One handler that runs others, each as soon as the one before calls `next`, and goes on with its own `next` after the
 * last one or an error. A router of Express does the same, but compares a path for each of them, which takes longer
 * than most of them.
 */
export function inOrder(handlers: readonly RequestHandler[]): RequestHandler {
  return (req, res, next) => {
    let at = 0
    const fail = (err: unknown): void => {
      next(err ?? new Error('a handler was rejected without a reason'))
    }
    const goOn: NextFunction = (err?: unknown) => {
      const handler = err === undefined ? handlers[at++] : undefined
      if (handler === undefined) {
        next(err)
        return
      }
      try {
        const result: unknown = handler(req, res, goOn)
        if (result instanceof Promise) {
          result.catch(fail)
        }
      } catch (err) {
        fail(err)
      }
    }
    goOn()
  }
}

/**
 * Has an error answered by the first of these, which may pass it on to the next
 *
 * @param broken is told of an error of these themselves
 */
export function failInOrder(
  handlers: readonly ErrorRequestHandler[],
  broken: (err: unknown) => void,
): (err: unknown, req: Request, res: Response) => void {
  return (err, req, res) => {
    const pass = (at: number, err: unknown): void => {
      void handlers[at]?.(err, req, res, (next: unknown) => {
        pass(at + 1, next)
      })
    }
    try {
      pass(0, err)
    } catch (err) {
      broken(err)
      res.destroy()
    }
  }
}
