import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { OciError } from '../../oci/errors.ts'
import { inOrder } from '../middleware/in-order.ts'

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

type Method = (typeof methods)[number]

/** What is asked for by one path. Handlers run in the order in which they are added; those for GET answer HEAD, too. */
export class RegistryRoute {
  readonly path: RegExp
  readonly #added: Array<{ method: Method | undefined; handlers: readonly RequestHandler[] }> = []
  #byMethod: Map<string, RequestHandler> | undefined
  #ofOthers: RequestHandler = inOrder([])

  constructor(path: RegExp) {
    this.path = path
  }

  all(...handlers: RequestHandler[]): this {
    return this.#add(undefined, handlers)
  }

  get(...handlers: RequestHandler[]): this {
    return this.#add('GET', handlers)
  }

  post(...handlers: RequestHandler[]): this {
    return this.#add('POST', handlers)
  }

  put(...handlers: RequestHandler[]): this {
    return this.#add('PUT', handlers)
  }

  patch(...handlers: RequestHandler[]): this {
    return this.#add('PATCH', handlers)
  }

  delete(...handlers: RequestHandler[]): this {
    return this.#add('DELETE', handlers)
  }

  /** Those that have handlers of their own */
  get methods(): Method[] {
    return [...new Set(this.#added.flatMap(({ method }) => method ?? []))]
  }

  handlerFor(method: string): RequestHandler {
    this.#byMethod ??= new Map(methods.map(each => [each, this.#joined(each)]))
    return this.#byMethod.get(method) ?? this.#ofOthers
  }

  #add(method: Method | undefined, handlers: readonly RequestHandler[]): this {
    this.#added.push({ method, handlers })
    this.#byMethod = undefined
    this.#ofOthers = this.#joined(undefined)
    return this
  }

  #joined(wanted: Method | undefined): RequestHandler {
    const own = wanted === 'HEAD' ? 'GET' : wanted
    return inOrder(
      this.#added.flatMap(({ method, handlers }) => (method === undefined || method === own ? handlers : [])),
    )
  }
}

/**
 * The routes of the distribution API. It does what a router of Express does, but a request asks once which route its
 * path is for, and not once for each router and layer that it passes: for a manifest or a blob, these took longer than
 * all handlers together.
 */
export class RegistryRouter {
  readonly #routes: RegistryRoute[] = []

  /** @param path its named groups become the parameters of the request */
  route(path: RegExp): RegistryRoute {
    const route = new RegistryRoute(path)
    this.#routes.push(route)
    return route
  }

  /** Adds the routes of another after those that are here */
  add(router: RegistryRouter): void {
    this.#routes.push(...router.#routes)
  }

  /** What there is to ask for */
  get operations(): Array<{ method: Method; path: RegExp }> {
    return this.#routes.flatMap(({ methods, path }) => methods.map(method => ({ method, path })))
  }

  /** Runs the handlers of the routes that match the path; `next` is called where none has answered */
  readonly handle: RequestHandler = (req, res, next) => {
    this.#passOn(0, { req, res, path: req.path, next })
  }

  #passOn(from: number, request: { req: Request; res: Response; path: string; next: NextFunction }): void {
    const { req, res, path, next } = request
    for (let i = from; i < this.#routes.length; i++) {
      const route = this.#routes[i]!
      const groups = route.path.exec(path)
      if (groups !== null) {
        req.params = decoded(groups.groups)
        route.handlerFor(req.method)(req, res, (err?: unknown) => {
          err === undefined ? this.#passOn(i + 1, request) : next(err)
        })
        return
      }
    }
    next()
  }
}

/** @throws OciError REQUEST_INVALID where a parameter is no text in UTF-8 */
function decoded(groups: Record<string, string> = {}): Record<string, string> {
  const params: Record<string, string> = {}
  for (const name in groups) {
    const text = groups[name]!
    params[name] = text.includes('%') ? decode(text) : text
  }
  return params
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (err) {
    throw new OciError('REQUEST_INVALID', { cause: err })
  }
}
