/** How long the client waits for a server, and how much of an answer it holds in memory */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { jsonOf, linesOf, responseError, type Answer } from '../../../../src/remote/http/answer.ts'
import { send } from '../../../../src/remote/http/request.ts'
import { isSameServer } from '../../../../src/remote/http/plain-http.ts'
import { RegistryClient } from '../../../../src/remote/registry/registry-client.ts'

const second = 1000
const mebibyte = 1024 * 1024
const registry = new URL('https://registry.example')

/** Answers instead of the network, until the request is aborted */
function answerWith(t: TestContext, answer: (signal: AbortSignal, url: URL) => Promise<Response> | Response): void {
  t.mock.method(globalThis, 'fetch', async (url: URL, { signal }: { signal: AbortSignal }) => await answer(signal, url))
}

/** A clock that the test moves: of timers, and of what is measured with them */
function clockOf(t: TestContext): { advance: (ms: number) => Promise<void> } {
  let now = performance.now()
  t.mock.method(performance, 'now', () => now)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  return {
    advance: async ms => {
      now += ms
      t.mock.timers.tick(ms)
      // whoever has waited goes on
      for (let i = 0; i < 20; i++) {
        await setImmediate()
      }
    },
  }
}

/** A body that comes as the test wants, and ends where the request is aborted */
function trickle(signal: AbortSignal): { response: Response; send: (text: string) => void } {
  const { promise, resolve } = Promise.withResolvers<ReadableStreamDefaultController<Uint8Array>>()
  const stream = new ReadableStream<Uint8Array>({
    start: controller => {
      resolve(controller)
      signal.addEventListener('abort', () => {
        controller.error(signal.reason)
      })
    },
  })
  return {
    response: new Response(stream),
    send: text => {
      void promise.then(controller => {
        controller.enqueue(Buffer.from(text))
      })
    },
  }
}

async function answerOf(t: TestContext, body: string, status = 200): Promise<Answer> {
  answerWith(t, () => new Response(body, { status }))
  return await send(registry)
}

/** What a promise came to, without waiting for it */
function watched(promise: Promise<unknown>): { outcome: string | undefined } {
  const state: { outcome: string | undefined } = { outcome: undefined }
  promise.then(
    () => {
      state.outcome = 'done'
    },
    (err: unknown) => {
      state.outcome = (err as Error).message
    },
  )
  return state
}

async function readAll(answer: Answer): Promise<void> {
  for await (const _ of answer.body()) {
    // as it comes
  }
}

describe('a server that falls silent', () => {
  it('is given up two minutes after the request', async t => {
    answerWith(
      t,
      async signal =>
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reject(signal.reason)
          })
        }),
    )
    const clock = clockOf(t)
    const answer = watched(send(registry))
    await clock.advance(119 * second)
    assert.equal(answer.outcome, undefined)
    await clock.advance(second)
    assert.equal(answer.outcome, 'registry.example has been silent for 120 s')
  })

  it('is given up a minute after the last piece of a body, however many there were', async t => {
    let body: ReturnType<typeof trickle>
    answerWith(t, signal => {
      body = trickle(signal)
      return body.response
    })
    const clock = clockOf(t)
    const read = watched(readAll(await send(registry)))
    for (let i = 0; i < 4; i++) {
      await clock.advance(59 * second)
      assert.equal(read.outcome, undefined)
      body!.send('piece')
      await clock.advance(0)
    }
    await clock.advance(60 * second)
    assert.equal(read.outcome, 'registry.example has been silent for 60 s')
  })

  it('has two minutes for a text, though each piece of it comes in time', async t => {
    let body: ReturnType<typeof trickle>
    answerWith(t, signal => {
      body = trickle(signal)
      return body.response
    })
    const clock = clockOf(t)
    const text = watched((await send(registry)).text())
    for (let i = 0; i < 3 && text.outcome === undefined; i++) {
      await clock.advance(59 * second)
      body!.send('{')
      await clock.advance(0)
    }
    assert.equal(text.outcome, 'registry.example took more than 120 s to send a text')
  })
})

describe('an answer that is too long', () => {
  const tooMuch = { name: 'ClientError', message: /^registry\.example sent (?:a line of )?more than \d+/ }

  it('is no text', async t => {
    await assert.rejects((await answerOf(t, 'x'.repeat(16 * mebibyte + 1))).text(), tooMuch)
    await assert.rejects((await answerOf(t, 'x'.repeat(101))).text(100), tooMuch)
    assert.equal((await (await answerOf(t, 'x'.repeat(100))).text(100)).length, 100)
  })

  it('is no JSON', async t => {
    const answer = await answerOf(t, JSON.stringify('x'.repeat(100)))
    await assert.rejects(jsonOf(answer, 100), tooMuch)
  })

  it('is no line of JSON', async t => {
    await assert.rejects(Array.fromAsync(linesOf(await answerOf(t, 'x'.repeat(16 * mebibyte + 1)))), tooMuch)
  })

  it('is no error message', async t => {
    const long = 'x'.repeat(20_000)
    const told = async (body: unknown): Promise<string> =>
      (await responseError(await answerOf(t, JSON.stringify(body), 500), 'blob')).message
    for (const error of [{ message: long }, { code: long }, { detail: { reason: long } }]) {
      assert.ok((await told({ errors: [error] })).length < 1100)
    }
    // not even read: the beginning of it is no JSON
    assert.equal(await told({ errors: [{ message: 'x'.repeat(70_000) }] }), 'blob: registry.example answered 500')
  })

  it('is no manifest', async t => {
    const client = await RegistryClient.open({ host: registry.host })
    for (const [size, isTaken] of [
      [4 * mebibyte, true],
      [4 * mebibyte + 1, false],
    ] as const) {
      answerWith(t, () => new Response(Buffer.alloc(size)))
      const manifest = client.manifest('a', 'v1')
      await (isTaken ? manifest : assert.rejects(manifest, { message: /sends a manifest of more than 4194304 bytes$/ }))
    }
  })

  it('is no token, nor is what would end a header', async t => {
    const token = 'x'.repeat(300_000)
    for (const [answer, message] of [
      [{ token }, /sent more than 262144 bytes of text$/],
      [{ token: 'a\r\nX-Other: b' }, /^registry\.example gave no token for registry\.example$/],
    ] as const) {
      const client = await RegistryClient.open({ host: registry.host })
      answerWith(t, (_signal, { pathname }) =>
        pathname === '/token'
          ? Response.json(answer)
          : new Response('{}', { status: 401, headers: { 'WWW-Authenticate': 'Bearer realm="/token"' } }),
      )
      await assert.rejects(client.manifest('a', 'v1'), { name: 'ClientError', message })
    }
  })
})

describe('localhost', () => {
  it('is the same server as either of its addresses, whoever names it how', () => {
    const same = (a: string, b: string): boolean => isSameServer(new URL(a), new URL(b))
    const [name, ipv4, ipv6] = ['http://localhost:5000', 'http://127.0.0.1:5000', 'http://[::1]:5000'] as const
    for (const address of [ipv4, ipv6, name]) {
      assert.ok(same(name, address) && same(address, name), address)
    }
    assert.ok(!same(ipv4, ipv6))
    assert.ok(!same(name, 'http://127.0.0.1:5001') && !same('http://localhost:5001', ipv4))
  })
})
