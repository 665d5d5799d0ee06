import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { TokenConnection } from '../../../../src/client/appliance/admin-connections.ts'
import { run } from '../../../../src/cli/program.ts'
import { openSocketPath } from '../../../../src/appliance/directory/admin-socket-path.ts'
import { fakeServer, type FakeServer, type SeenRequest } from '../../../fixtures/fake-server.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'
import { until } from '../../../fixtures/until.ts'
import { fakeContext } from '../fake-context.ts'
import { ipdr } from '../ipdr.ts'

const result = { dryRun: false, manifests: 1, links: 2, cached: 3, blocks: 4, bytes: 5, seconds: 1.25 }
const progress = { phase: 'mark', roots: 3, blocks: 2, bytes: 2048 }
const line = (value: unknown): string => `${JSON.stringify(value)}\n`
const token = 'token-of-the-fake-server'

let directory: TemporaryDirectory
beforeEach(async () => {
  directory = await temporaryDirectory('cli-admin')
})
afterEach(async () => {
  await directory[Symbol.asyncDispose]()
})

const path = (name: string): string => join(directory.path, name)

/** Answers as the server of a data directory does */
async function socketServer(dataDir: string, answer?: Parameters<typeof fakeServer>[0]): Promise<FakeServer> {
  await mkdir(dataDir, { recursive: true })
  using socket = openSocketPath(dataDir)
  return await fakeServer(
    answer ??
      (({ url }, res) => {
        res.end(url === '/ipdr/v1/gc' ? line({ result }) : '{}')
      }),
    socket.path,
  )
}

describe('a command that administers', () => {
  it('takes the socket in the data directory of the same configuration', async () => {
    const dataDir = path('data')
    await using server = await socketServer(dataDir)
    await writeFile(path('ipdr.yml'), `dataDir: ${dataDir}\n`)
    for (const [flags, env] of [
      [['--data-dir', dataDir], {}],
      [[], { IPDR_DATA_DIR: dataDir }],
      [['--config', path('ipdr.yml')], {}],
      [[], { IPDR_CONFIG: path('ipdr.yml') }],
    ] as const) {
      assert.deepEqual(await ipdr(['gc', '--json', ...flags], { ...env }), { code: 0, out: line(result), err: '' })
    }
    const seen = server.requests.map(({ method, url, body, headers }) => [
      method,
      url,
      body,
      headers['authorization'],
      headers['content-type'],
    ])
    assert.deepEqual(seen, Array(4).fill(['POST', '/ipdr/v1/gc', '{"dryRun":false}', undefined, 'application/json']))
  })

  it('reaches a socket whose path is too long for one', async () => {
    const dataDir = path('d'.repeat(150))
    await using _server = await socketServer(dataDir)
    assert.equal((await ipdr(['gc', '--json', '--data-dir', dataDir])).out, line(result))
  })

  it('shows progress, and says so where the answer breaks off', async () => {
    const dataDir = path('data')
    await using _server = await socketServer(dataDir, (_request, res) => {
      res.write(line({ progress }), () => {
        res.destroy()
      })
    })
    assert.deepEqual(await ipdr(['gc', '--data-dir', dataDir]), {
      code: 1,
      out: '',
      err: '3 roots marked\nipdr: admin.sock closed the connection before its answer was complete\n',
    })
  })

  it('says in what it failed', async () => {
    const dataDir = path('data')
    await using _server = await socketServer(dataDir, (_request, res) => {
      res.writeHead(503).end('{"error":"service unavailable: blocks are missing"}')
    })
    assert.deepEqual(await ipdr(['gc', '--data-dir', dataDir]), {
      code: 1,
      out: '',
      err: 'ipdr: garbage collection: admin.sock answered 503 service unavailable: blocks are missing\n',
    })
  })

  it('stops at the first Ctrl+C', async () => {
    const dataDir = path('data')
    let arrived = 0
    await using _server = await socketServer(dataDir, ({ body }) => {
      arrived = body.length
    })
    const context = fakeContext({})
    const done = run(['gc', '--data-dir', dataDir], context)
    await until('it was asked', () => arrived > 0)
    context.process.emit('SIGINT')
    assert.equal(await done, 130)
  })

  const hint =
    'Is it running? --data-dir names its data directory; --docker-registry-host and --admin-token-file reach one on another machine.\n'
  for (const [what, prepare] of [
    ['there is none', async () => {}],
    [
      'there is no data directory',
      async (dataDir: string) => {
        await rm(dataDir, { recursive: true })
      },
    ],
    [
      'it is left over from a crash',
      async (dataDir: string) => {
        const stale = createServer().listen(join(dataDir, 'other'))
        await once(stale, 'listening')
        await rename(join(dataDir, 'other'), join(dataDir, 'admin.sock'))
        stale.close()
      },
    ],
  ] as const) {
    it(`says so in one line where ${what}`, async () => {
      for (const dataDir of [path('data'), path('d'.repeat(150))]) {
        await mkdir(dataDir)
        await prepare(dataDir).catch((err: NodeJS.ErrnoException) => {
          assert.equal(err.code, 'EINVAL')
        })
        assert.deepEqual(await ipdr(['peers', '--data-dir', dataDir]), {
          code: 1,
          out: '',
          err: `ipdr: no server answers at ${dataDir}/admin.sock\n${hint}`,
        })
      }
    })
  }

  it('takes no wrong configuration', async () => {
    assert.match((await ipdr(['gc'], { IPDR_DATA_DIRR: 'x' })).err, /^ipdr: IPDR_DATA_DIRR: unknown variable/)
  })
})

describe('a command that administers a server elsewhere', () => {
  const answer = ({ headers }: SeenRequest, res: Parameters<Parameters<typeof fakeServer>[0]>[1]): void => {
    if (headers['authorization'] === `Bearer ${token}`) {
      res.end(line({ result }))
    } else {
      res.writeHead(401, { 'WWW-Authenticate': 'Bearer realm="ipdr"' }).end('{"error":"authentication required"}')
    }
  }

  it('shows the token of the file that is named', async () => {
    await using server = await fakeServer(answer)
    await writeFile(path('token'), `${token}\n`)
    for (const [flags, env] of [
      [['--admin-token-file', path('token')], {}],
      [[], { IPDR_ADMIN_TOKEN_FILE: path('token') }],
    ] as const) {
      assert.deepEqual(await ipdr(['gc', '--json', '--docker-registry-host', server.host, ...flags], { ...env }), {
        code: 0,
        out: line(result),
        err: '',
      })
    }
  })

  it('says where the token is found, and asks nobody else for one', async () => {
    await using server = await fakeServer(answer)
    await writeFile(path('token'), 'another-token-than-that')
    const hint =
      'The token is the file admin.token in the data directory of the server: give it with --admin-token-file. On the machine of the server, --data-dir needs no token.\n'
    const at = ['--docker-registry-host', server.host]
    assert.deepEqual(await ipdr(['gc', ...at]), {
      code: 1,
      out: '',
      err: `ipdr: ${server.host} wants its admin token\n${hint}`,
    })
    assert.deepEqual(await ipdr(['gc', ...at, '--admin-token-file', path('token')]), {
      code: 1,
      out: '',
      err: `ipdr: ${server.host} refuses this admin token\n${hint}`,
    })
    assert.deepEqual(
      server.requests.map(({ url }) => url),
      ['/ipdr/v1/gc', '/ipdr/v1/gc'],
    )
  })

  it('says what is wrong with a file that holds no token', async () => {
    await writeFile(path('empty'), '\n')
    await writeFile(path('lines'), 'a\nb')
    for (const name of ['empty', 'lines']) {
      assert.equal(
        (await ipdr(['gc', '--admin-token-file', path(name)])).err,
        `ipdr: ${path(name)} does not hold a token, which is one line of printable ASCII without spaces\n`,
      )
    }
    assert.match(
      (await ipdr(['gc', '--admin-token-file', path('none')])).err,
      /^ipdr: admin token .*none can't be read: ENOENT/,
    )
  })

  const hosts: Array<[host: string, plainHttp: boolean, url: string]> = [
    ['localhost:5000', false, 'http://localhost:5000/'],
    ['127.0.0.1', false, 'http://127.0.0.1/'],
    ['127.9.9.9:1', false, 'http://127.9.9.9:1/'],
    ['[::1]:5000', false, 'http://[::1]:5000/'],
    ['127.1:5000', false, 'http://127.0.0.1:5000/'],
    ['ip6-localhost:5000', false, 'https://ip6-localhost:5000/'],
    ['localhost.:5000', false, 'https://localhost.:5000/'],
    ['127.0.0.1.evil.example', false, 'https://127.0.0.1.evil.example/'],
    ['192.0.2.1:5000', false, 'https://192.0.2.1:5000/'],
    ['registry.example', false, 'https://registry.example/'],
    ['registry.example', true, 'http://registry.example/'],
    ['http://registry.example:5000', false, 'http://registry.example:5000/'],
    ['https://localhost:5000', true, 'https://localhost:5000/'],
  ]
  for (const [host, plainHttp, url] of hosts) {
    it(`reaches ${host}${plainHttp ? ' with --plain-http' : ''} at ${url}`, () => {
      assert.equal(new TokenConnection({ host, plainHttp, token }).url.href, url)
    })
  }

  it('wants a host that is one', async () => {
    await writeFile(path('token'), token)
    for (const host of ['a b', 'user@host', 'host/path', '']) {
      assert.match(
        (await ipdr(['gc', '--docker-registry-host', host, '--admin-token-file', path('token')])).err,
        /is not the host of an appliance/,
      )
    }
  })
})
