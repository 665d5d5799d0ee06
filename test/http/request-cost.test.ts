/** What a request for a manifest must not cost where nobody asked for it; each of these was a tenth of its time */
import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { after, before, it } from 'node:test'
import { imageManifest } from '../fixtures/manifests.ts'
import { TestApp } from '../fixtures/app.ts'

const path = '/v2/a/b/manifests/latest'
let app: TestApp

before(async () => {
  app = await TestApp.start()
  await app.pushEmptyConfig('a/b')
  await app.pushManifest('a/b', 'latest', imageManifest())
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

it('the prototypes of request and response stay those with which the server made them', async t => {
  const { setPrototypeOf } = Object
  const changed: unknown[] = []
  t.mock.method(Object, 'setPrototypeOf', <T>(value: T, prototype: object | null): T => {
    if (
      (value instanceof IncomingMessage || value instanceof ServerResponse) &&
      Object.getPrototypeOf(value) !== prototype
    ) {
      changed.push(value.constructor.name)
    }
    return setPrototypeOf(value, prototype) as T
  })
  assert.equal((await app.get(path)).status, 200)
  assert.deepEqual(changed, [])
})

it('no router has it wait for another turn of the event loop', async t => {
  const waits: string[] = []
  const { setImmediate: wait } = globalThis
  t.mock.method(globalThis, 'setImmediate', ((...args: Parameters<typeof wait>) => {
    const { stack = '' } = new Error('wait')
    if (stack.includes('/node_modules/router/')) {
      waits.push(stack)
    }
    return wait(...args)
  }) as typeof wait)
  assert.equal((await app.get(path)).status, 200)
  assert.deepEqual(waits, [])
})
