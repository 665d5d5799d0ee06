/** What the router of the distribution API does, beside one of Express with the same routes */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import express, { type Request, type RequestHandler, type Response } from 'express'
import fc from 'fast-check'
import { toClientError } from '../../../../src/http/error-response.ts'
import { onlyMethods } from '../../../../src/http/middleware/allowed-methods.ts'
import { inOrder } from '../../../../src/http/middleware/in-order.ts'
import { paths } from '../../../../src/http/routes/paths.ts'
import { RegistryRouter } from '../../../../src/http/routes/registry-router.ts'
import { createRouter } from '../../../../src/http/routes/router.ts'

/** What happened to a request: the handlers that saw it with its parameters, and how it ended */
type Course = unknown[]

interface TestRequest extends Request {
  course: Course
}

type Routes = Pick<ReturnType<typeof express.Router>, 'route'> | RegistryRouter

function addRoutes(routes: Routes): void {
  const passing =
    (name: string): RequestHandler =>
    (req, _res, next) => {
      ;(req as TestRequest).course.push([name, { ...req.params }])
      next()
    }
  const ending =
    (name: string): RequestHandler =>
    async req => {
      ;(req as TestRequest).course.push([name, { ...req.params }])
      await Promise.resolve()
      throw new Error(`end of ${name}`)
    }
  routes.route(paths.manifest).all(passing('manifest')).get(ending('get'))
  routes
    .route(paths.manifest)
    .put(passing('check'), ending('put'))
    .delete(ending('delete'))
    .all(onlyMethods('GET', 'PUT'))
  routes.route(paths.uploads).all(passing('uploads')).post(ending('post')).all(onlyMethods('POST'))
  routes.route(paths.upload).all(passing('upload'), passing('again')).patch(ending('patch')).all(onlyMethods('PATCH'))
  routes.route(paths.blob).all(passing('blob')).get(ending('blob')).all(onlyMethods('GET', 'HEAD'))
  routes.route(paths.tags).all(passing('tags')).get(ending('tags'))
}

async function courseIn(handle: RequestHandler, method: string, url: string): Promise<Course> {
  const course: Course = []
  const { promise, resolve } = Promise.withResolvers<unknown>()
  const req = Object.assign(Object.create(express.request) as TestRequest, { method, url, headers: {}, course })
  const res = Object.assign(Object.create(express.response) as Response, { locals: {} })
  await handle(req, res, resolve)
  const err = await promise
  const { code, detail, headers } = toClientError(err)
  return [...course, err === undefined ? 'not found' : [code, detail, headers, code === 'UNKNOWN' && String(err)]]
}

const ofExpress = createRouter()
const ours = new RegistryRouter()
addRoutes(ofExpress)
addRoutes(ours)
const handle = inOrder([ours.handle])

async function assertSame(method: string, url: string): Promise<void> {
  assert.deepEqual(await courseIn(handle, method, url), await courseIn(ofExpress, method, url), `${method} ${url}`)
}

const methods = ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'PURGE']

describe('the router of the distribution API', () => {
  it('knows a path that Express knows', async () => {
    assert.deepEqual(await courseIn(handle, 'HEAD', '/v2/a/b/manifests/x%2by?c=d'), [
      ['manifest', { name: 'a/b', reference: 'x+y' }],
      ['get', { name: 'a/b', reference: 'x+y' }],
      ['UNKNOWN', undefined, {}, 'Error: end of get'],
    ])
  })

  for (const url of ['/v2/a/manifests/%ff', '/v2/%/tags/list', '/v2/a/blobs/uploads/', '/v2/a/blobs/uploads', '/v2']) {
    it(`does the same with ${url} as one of Express, by any method`, async () => {
      for (const method of methods) {
        await assertSame(method, url)
      }
    })
  }

  it('does the same with any path', async () => {
    const part = fc.constantFrom(
      ...[
        'v2',
        'a',
        'manifests',
        'blobs',
        'uploads',
        'tags',
        'list',
        '',
        '%2f',
        '%ff',
        '%zz',
        'é',
        'sha256:0',
        '.',
        '..',
      ],
      ...['?n=1', '#x', 'A%20b', '__proto__', 'http://host'],
    )
    const url = fc.array(part, { minLength: 1, maxLength: 8 }).map(parts => `/${parts.join('/')}`)
    const api = fc.tuple(part, part, part).map(([name, kind, reference]) => `/v2/${name}/${kind}/${reference}`)
    await fc.assert(fc.asyncProperty(fc.constantFrom(...methods), fc.oneof(url, api), assertSame), { numRuns: 500 })
  })
})
