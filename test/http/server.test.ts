import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import type { RequestListener } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { HttpServer } from '../../src/http/server.ts'

const open: HttpServer[] = []
const sockets: Socket[] = []

afterEach(async () => {
  sockets.splice(0).forEach(socket => socket.destroy())
  await Promise.all(open.splice(0).map(async server => await server.stop()))
})

async function serve(
  app: RequestListener,
  init: { idleTimeout?: number; drainTimeout?: number } = {},
): Promise<HttpServer> {
  const server = new HttpServer(
    { app },
    { host: '127.0.0.1', port: 0, idleTimeout: 10_000, drainTimeout: 10_000, ...init },
  )
  open.push(server)
  await server.start()
  return server
}

/** A client, and all that it gets until it is closed */
function client(server: HttpServer, text: string): { socket: Socket; closed: Promise<string> } {
  const socket = connect(server.address.port, '127.0.0.1').on('error', () => {})
  sockets.push(socket)
  let received = ''
  socket.setEncoding('utf8').on('data', data => {
    received += data
  })
  socket.write(text)
  return {
    socket,
    closed: new Promise(resolve =>
      socket.once('close', () => {
        resolve(received)
      }),
    ),
  }
}

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

describe('the HTTP server', () => {
  it('may be started and stopped twice, and again', async () => {
    const server = await serve((_req, res) => {
      res.end('hello')
    })
    await server.start()
    const { port, host } = server.address
    assert.ok(port > 0)
    assert.equal(await (await fetch(`http://${host}:${port}/`)).text(), 'hello')
    await Promise.all([server.stop(), server.stop()])
    await server.stop()
    await assert.rejects(fetch(`http://${host}:${port}/`))
    await server.start()
  })

  it('says that its port is in use', async () => {
    const { host, port } = (await serve(() => {})).address
    const other = new HttpServer({ app: () => {} }, { host, port, idleTimeout: 1000, drainTimeout: 1000 })
    await assert.rejects(other.start(), { code: 'EADDRINUSE' })
    await other.stop()
  })

  it('lets requests end that are under way, takes no new ones, and does not wait for idle connections', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { promise: began, resolve: begin } = Promise.withResolvers<void>()
    const server = await serve((req, res) => {
      if (req.url === '/') {
        res.end('idle')
        return
      }
      begin()
      void promise.then(() => {
        res.end('ended')
      })
    })
    const { host, port } = server.address
    const idle = client(server, get)
    await once(idle.socket, 'data')
    const busy = client(server, 'GET /busy HTTP/1.1\r\nHost: a\r\n\r\n')
    await began
    const started = performance.now()
    const stopped = server.stop()
    await idle.closed
    await assert.rejects(fetch(`http://${host}:${port}/`))
    await sleep(30)
    resolve()
    assert.match(await busy.closed, /ended$/)
    await stopped
    // far below the time that it gives requests
    assert.ok(performance.now() - started < 8000)
  })

  it('breaks off what does not end in time', async () => {
    const server = await serve(
      (_req, res) => {
        res.write('begun')
      },
      { drainTimeout: 50 },
    )
    const { socket, closed } = client(server, get)
    await once(socket, 'data')
    await server.stop()
    assert.match(await closed, /begun/)
  })

  it('closes a connection on which nothing moves, but none that moves', async () => {
    const server = await serve(
      (req, res) => {
        let size = 0
        req
          .on('data', chunk => {
            size += chunk.byteLength
          })
          .on('end', () => {
            res.end(`got ${size}`)
          })
          .on('error', () => {})
      },
      { idleTimeout: 1500 },
    )
    const stuck = client(server, 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nab')
    const head = 'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n'
    const slow = client(server, head)
    const began = performance.now()
    let sent = 0
    // as long as the other one may stay open, and longer
    for (let over = false; !over || performance.now() - began < 2000; sent++) {
      slow.socket.write('1\r\nx\r\n')
      over = (await Promise.race([stuck.closed, sleep(50)])) === ''
    }
    slow.socket.write('0\r\n\r\n')
    assert.match(await slow.closed, new RegExp(`got ${sent}$`))
    assert.equal(await stuck.closed, '')
  })
})
