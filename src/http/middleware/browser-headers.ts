import type { Request, RequestHandler, Response } from 'express'

export interface BrowserHeadersInit {
  /** Seconds for which a browser uses nothing but TLS for this host; 0: nobody tells it to */
  hsts: number
}

/**
 * Headers that only browsers know, beside those of content-headers.ts: no name of this server reaches other sites
 * (Referrer-Policy, DNS prefetches), and its answers share neither window nor process with them. Helmet sets them; it
 * is loaded for the first browser, and costs other clients nothing.
 */
export class BrowserHeaders {
  readonly #hsts: number
  #handlers: Promise<{ always: RequestHandler; overTls: RequestHandler }> | undefined

  constructor({ hsts }: BrowserHeadersInit) {
    this.#hsts = hsts
  }

  async set(req: Request, res: Response): Promise<void> {
    this.#handlers ??= this.#load()
    const { always, overTls } = await this.#handlers
    const done = (): void => {}
    always(req, res, done)
    if (req.secure && this.#hsts > 0) {
      overTls(req, res, done)
    }
  }

  async #load(): Promise<{ always: RequestHandler; overTls: RequestHandler }> {
    const { default: helmet } = await import('helmet')
    return {
      always: helmet({
        // every response has these three already
        contentSecurityPolicy: false,
        crossOriginResourcePolicy: false,
        xContentTypeOptions: false,
        strictTransportSecurity: false,
        xFrameOptions: { action: 'deny' },
      }),
      // what runs on other names and ports of this machine is not ours to decide
      overTls: helmet.strictTransportSecurity({ maxAge: this.#hsts, includeSubDomains: false }),
    }
  }
}
