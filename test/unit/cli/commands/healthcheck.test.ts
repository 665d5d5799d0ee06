import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { ipdr } from '../ipdr.ts'

const ready: RequestListener = (req, res) => {
  res.writeHead(req.url === '/readyz' ? 200 : 404).end('OK\n')
}

describe('ipdr healthcheck', () => {
  it('tells that the server is ready', async () => {
    await using server = await listen(createServer(ready))
    const url = `http://127.0.0.1:${server.port}`
    assert.deepEqual(await ipdr(['healthcheck'], { IPDR_PORT: `${server.port}` }), {
      code: 0,
      out: `${url} is ready\n`,
      err: '',
    })
    assert.deepEqual(await ipdr(['healthcheck', '--port', `${server.port}`, '--host', 'localhost']), {
      code: 0,
      out: `http://localhost:${server.port} is ready\n`,
      err: '',
    })
  })

  it('asks on the admin port where there is one', async () => {
    await using registry = await listen(
      createServer((_req, res) => {
        res.writeHead(404).end()
      }),
    )
    await using admin = await listen(createServer(ready))
    const { code, out } = await ipdr(['healthcheck'], {
      IPDR_PORT: `${registry.port}`,
      IPDR_ADMIN_PORT: `${admin.port}`,
    })
    assert.deepEqual({ code, out }, { code: 0, out: `http://127.0.0.1:${admin.port} is ready\n` })
  })

  it('waits for a server that is not ready yet', async () => {
    let asked = 0
    await using server = await listen(
      createServer((_req, res) => {
        res.writeHead(asked++ < 2 ? 503 : 200).end()
      }),
    )
    assert.equal((await ipdr(['healthcheck', '--wait', '30s', '--port', `${server.port}`])).code, 0)
    assert.equal(asked, 3)
    assert.match(
      (await ipdr(['healthcheck', '--wait', 'long'])).err,
      /^ipdr: option '--wait <duration>' argument 'long' is invalid. It must be a duration/,
    )
  })

  it('reads no more of an answer than it tells', async () => {
    await using server = await listen(
      createServer((_req, res) => {
        res.writeHead(503)
        const more = (): void => {
          while (!res.destroyed && res.write('x'.repeat(100_000))) {}
        }
        res.on('drain', more)
        more()
      }),
    )
    const { code, err } = await ipdr(['healthcheck', '--port', `${server.port}`])
    assert.deepEqual([code, err], [1, `ipdr: http://127.0.0.1:${server.port} is not ready: 503 ${'x'.repeat(200)}\n`])
  })

  it('fails in one line where the server is not ready, does not answer or is not there', async () => {
    await using starting = await listen(
      createServer((_req, res) => {
        res.writeHead(503).end('starting or stopping\n')
      }),
    )
    assert.deepEqual(await ipdr(['healthcheck', '--port', `${starting.port}`]), {
      code: 1,
      out: '',
      err: `ipdr: http://127.0.0.1:${starting.port} is not ready: 503 starting or stopping\n`,
    })
    const { port } = starting
    await starting[Symbol.asyncDispose]()
    assert.deepEqual(await ipdr(['healthcheck', '--port', `${port}`]), {
      code: 1,
      out: '',
      err: `ipdr: http://127.0.0.1:${port} can't be reached: ECONNREFUSED\n`,
    })
    assert.equal((await ipdr(['healthcheck', '--port', '0'])).code, 1)
  })
})

interface Listening extends AsyncDisposable {
  port: number
}

async function listen(server: Server): Promise<Listening> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      if (server.listening) {
        server.close()
        server.closeAllConnections()
        await once(server, 'close')
      }
    },
  }
}
