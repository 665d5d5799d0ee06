import type { Request, Response } from 'express'
import type { LookUpOptions } from '../registry/repository.ts'

/** A signal that aborts when the client disconnects before it has received the whole response */
export function clientSignal(res: Response): AbortSignal {
  const controller = new AbortController()
  if (res.closed && !res.writableFinished) {
    controller.abort()
  }
  res.on('close', () => {
    if (!res.writableFinished) {
      controller.abort()
    }
  })
  return controller.signal
}

/**
 * What the registry is told about a request: the client's address, the registries that passed it on, whether others may
 * be asked, and a signal as of {@link clientSignal}
 *
 * @see https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.7
 */
export function requestOptions(req: Request, res: Response): LookUpOptions & { readonly signal: AbortSignal } {
  let signal: AbortSignal | undefined
  return {
    // made for whoever waits for something: what is in memory is answered without
    get signal() {
      signal ??= clientSignal(res)
      return signal
    },
    client: req.socket.remoteAddress,
    via: req.headers.via,
    onlyCached: req.headers['cache-control']?.includes('only-if-cached'),
  }
}
