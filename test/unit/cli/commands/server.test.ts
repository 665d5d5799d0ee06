import assert from 'node:assert/strict'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Command } from 'commander'
import { addServerCommand, type Server } from '../../../../src/cli/commands/server.ts'
import type { Config } from '../../../../src/config/schema.ts'
import { type FakeContext, fakeContext } from '../fake-context.ts'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'uncaughtException', 'unhandledRejection']

/** Records its calls; start and stop end when they are let go */
class FakeServer implements Server {
  readonly calls: string[] = []
  readonly started = Promise.withResolvers<void>()
  readonly stopped = Promise.withResolvers<void>()
  address = { host: '0.0.0.0', port: 5000 }
  peerId: string | undefined = '12D3KooW'
  multiaddrs = ['/ip4/192.0.2.1/tcp/4001', '/ip4/127.0.0.1/tcp/4001']

  async start(): Promise<void> {
    this.calls.push('start')
    await this.started.promise
    this.calls.push('started')
  }

  async stop(): Promise<void> {
    this.calls.push('stop')
    await this.stopped.promise
    this.calls.push('stopped')
  }

  async reload(): Promise<void> {
    this.calls.push('reload')
  }
}

interface Run {
  server: FakeServer
  context: FakeContext
  config: () => Config
  done: Promise<unknown>
}

function serve(args: string[] = [], prepare: (server: FakeServer) => void = () => {}): Run {
  const server = new FakeServer()
  const context = fakeContext()
  let given: Config | undefined
  prepare(server)
  const program = new Command().exitOverride()
  addServerCommand(program, context, async (_components, config) => {
    given = config
    return server
  })
  const done = program.parseAsync(['server', ...args], { from: 'user' })
  return { server, context, config: () => given!, done }
}

/** Lets everything run that is ready to */
async function settle(): Promise<void> {
  await setImmediate()
  await setImmediate()
}

describe('ipdr server', () => {
  it('gives the appliance its configuration', async () => {
    const { config, context, done, server } = serve(['-p', '0', '--network', 'offline', '--p2p-port', '7'])
    server.started.resolve()
    server.stopped.resolve()
    await settle()
    context.process.emit('SIGTERM')
    await done
    assert.equal(config().port, 0)
    assert.equal(config().network, 'offline')
    assert.equal(config().p2p.port, 7)
  })

  it('says where it listens only once it does', async () => {
    const { context, done, server } = serve(['--data-dir', 'some/where'])
    await settle()
    assert.equal(context.stdout.text, '')
    server.started.resolve()
    server.stopped.resolve()
    await settle()
    const text = context.stdout.text
    for (const part of [
      'http://localhost:5000 (listening on 0.0.0.0:5000)',
      '12D3KooW',
      ...server.multiaddrs,
      resolve('some/where'),
      'docker tag helloworld localhost:5000/example/helloworld',
      'docker push localhost:5000/example/helloworld',
    ]) {
      assert.ok(text.includes(part), `${part} in ${text}`)
    }
    context.process.emit('SIGTERM')
    await done
  })

  const hosts: [string, string][] = [
    ['0.0.0.0', 'localhost'],
    ['::', 'localhost'],
    ['127.0.0.1', 'localhost'],
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8::1', '[2001:db8::1]'],
  ]
  for (const [host, expected] of hosts) {
    it(`on ${host} shows a push to ${expected}`, async () => {
      const { context, done, server } = serve([], server => {
        server.address = { host, port: 5001 }
      })
      server.started.resolve()
      server.stopped.resolve()
      await settle()
      context.process.emit('SIGINT')
      await done
      assert.ok(context.stdout.text.includes(`docker push ${expected}:5001/example/helloworld`), context.stdout.text)
    })
  }

  it('says that an offline node has no peer id', async () => {
    const { context, done, server } = serve([], server => {
      server.peerId = undefined
    })
    server.started.resolve()
    server.stopped.resolve()
    await settle()
    context.process.emit('SIGINT')
    await done
    assert.match(context.stdout.text, /peer id {3}none \(offline\)/)
  })

  for (const [signal, second, code] of [
    ['SIGINT', 'SIGINT', 130],
    ['SIGTERM', 'SIGTERM', 143],
    ['SIGTERM', 'SIGINT', 130],
  ] as const) {
    it(`stops at the first signal (${signal}) and ends at once at the second (${second})`, async () => {
      const { context, done, server } = serve()
      server.started.resolve()
      await settle()
      assert.deepEqual(server.calls, ['start', 'started'])
      context.process.emit(signal)
      await settle()
      assert.deepEqual(server.calls, ['start', 'started', 'stop'])
      assert.deepEqual(context.process.exits, [])
      context.process.emit(second)
      assert.deepEqual(context.process.exits, [code])
      server.stopped.resolve()
      await done
      assert.deepEqual(server.calls, ['start', 'started', 'stop', 'stopped'])
    })
  }

  it('stops what a signal met in mid-start, and does not claim to be ready', async () => {
    const { context, done, server } = serve()
    await settle()
    context.process.emit('SIGTERM')
    server.started.resolve()
    server.stopped.resolve()
    await done
    assert.deepEqual(server.calls, ['start', 'started', 'stop', 'stopped'])
    assert.equal(context.stdout.text, '')
  })

  it('hands on what made the start or the stop fail', async () => {
    const failedStart = serve()
    failedStart.server.started.reject(new Error('port in use'))
    await assert.rejects(failedStart.done, /port in use/)

    const failedStop = serve()
    failedStop.server.started.resolve()
    await settle()
    failedStop.context.process.emit('SIGINT')
    failedStop.server.stopped.reject(new Error('stuck'))
    await assert.rejects(failedStop.done, /stuck/)
  })

  it('reloads at SIGHUP, and goes on', async () => {
    const { context, done, server } = serve()
    server.started.resolve()
    server.stopped.resolve()
    await settle()
    context.process.emit('SIGHUP')
    context.process.emit('SIGHUP')
    await settle()
    assert.deepEqual(server.calls, ['start', 'started', 'reload', 'reload'])
    context.process.emit('SIGTERM')
    await done
  })

  it('leaves no listener behind', async () => {
    const { context, done, server } = serve()
    server.started.resolve()
    server.stopped.resolve()
    await settle()
    assert.ok(signals.every(name => context.process.listenerCount(name) === 1))
    context.process.emit('SIGINT')
    await done
    assert.ok(signals.every(name => context.process.listenerCount(name) === 0))
  })

  for (const name of ['uncaughtException', 'unhandledRejection']) {
    it(`logs an ${name} and exits with 1`, async () => {
      const { context, done, server } = serve(['--log-format', 'json'])
      server.started.resolve()
      server.stopped.resolve()
      await settle()
      const exited = once(context.process, 'exited')
      context.process.emit(name, new Error('nobody caught me'))
      await exited
      assert.deepEqual(context.process.exits, [1])
      const line = JSON.parse(context.stderr.text) as { level: string; error: { message: string; stack: string } }
      assert.equal(line.level, 'error')
      assert.equal(line.error.message, 'nobody caught me')
      assert.match(line.error.stack, /server\.test\.ts/)
      context.process.emit('SIGINT')
      await done
    })
  }
})
