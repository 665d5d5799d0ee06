import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { asyncIterableReader } from '@ipld/car/decoder'
import { encodeCar, readCarBlocks, readCarRoot } from '../../src/ipfs/car/car.ts'
import type { Block } from '../../src/ipfs/blocks/block.ts'
import { UnavailableError } from '../../src/ipfs/errors.ts'
import { InvalidNameError, NameNotFoundError } from '../../src/ipfs/names/errors.ts'
import { NetworkConfigError, NodeOfflineError } from '../../src/ipfs/node/network-errors.ts'
import { OciError } from '../../src/oci/errors.ts'
import { Administration } from '../../src/upkeep/administration.ts'
import type { RebuildResult } from '../../src/upkeep/rebuild/index-rebuilder.ts'
import type { Repository } from '../../src/registry/repository.ts'
import { readOnlyMode } from '../fixtures/read-only.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { leafBlock } from '../fixtures/leaf-block.ts'
import { assertError, authorized, json, TestApp, type Reply, type RequestInit } from '../fixtures/app.ts'

const cid = 'bafybeifdu6szz4rerwwo577ttks42zqyurteguvwp7zrztmumxxx3b62ma'
const peer = {
  peer: '12D3',
  address: '/ip4/192.0.2.1/tcp/4001',
  direction: 'outbound' as const,
  limited: false,
  sent: 5,
  received: 6,
}

const answers: Record<string, () => Error> = {
  '/nonsense': () => new NetworkConfigError('/nonsense is no multiaddr'),
  '/offline': () => new NodeOfflineError(),
  '/unreachable': () => new Error('dial failed: secret'),
  '/ipns/invalid': () => new InvalidNameError('invalid is no name'),
  'nothing.example': () => new NameNotFoundError('nothing.example has no valid DNSLink'),
  'away.example': () => new UnavailableError('No DNS server answers'),
  'bug.example': () => new TypeError('secret'),
}

async function answer<T>(question: string, value: T): Promise<T> {
  const error = answers[question]?.()
  if (error !== undefined) {
    throw error
  }
  return value
}

// one tag is known; the rest of a repository is asked for nothing here
const registry = {
  repository: async (name: string) =>
    ({
      manifest: async ({ tag }: { tag?: string }) => {
        if (name !== 'images/known' || tag !== 'v1') {
          throw new OciError('MANIFEST_UNKNOWN', { detail: { reason: `no ${name}:${tag}` } })
        }
        return { root: cid }
      },
    }) as unknown as Repository,
}

const signatureDecision = {
  action: 'refuse' as const,
  repository: 'a/b',
  tag: 'v1',
  digest: `sha256:${'1'.repeat(64)}` as const,
  why: 'onlySigned[0]: this one has no signature',
}

const administration = new Administration({
  registry,
  accessFiles: { reload: async () => 'line 3: no such action' },
  readOnly: readOnlyMode(),
  retention: {
    run: async ({ dryRun = false, onDecisions } = {}) => {
      const decided = { repository: 'a/b', digest: `sha256:${'1'.repeat(64)}`, why: 'no rule is about it' } as const
      onDecisions?.(Array.from({ length: 1001 }, (_, i) => ({ action: 'keep', tag: `v${i}`, ...decided })))
      return { dryRun, repositories: 1, tags: 0, keptTags: 1001, manifests: 0, seconds: 0.1 }
    },
  },
  signatureReport: async ({ onDecisions }) => {
    onDecisions?.([signatureDecision])
    return { repositories: 1, pass: 0, refuse: 1, unsigned: 0 }
  },
  undo: {
    undo: async ({ repository, tag, to }) => {
      await answer(repository, undefined)
      const tags = tag === undefined ? [] : [{ tag, before: undefined, after: undefined }]
      return { repository, to: to ?? 7, tags, restored: [], removed: [] }
    },
    forget: async () => 3,
  },
  historyLog: {
    list: async ({ limit }) => ({ changes: [], more: limit < 100 }),
    diff: async (from, to = 9) => ({ from, to, tags: [], manifests: [] }),
    stateAt: async time => time.getUTCMinutes(),
  },
  pastTags: {
    list: async (state, { page, repository }) => ({ repository, state, tags: [], more: page.last !== undefined }),
  },
  node: { peers: () => [peer], connect: async address => await answer(address, '12D3') },
  names: { resolve: async name => await answer(name, { cid, path: ['a'], ttl: 60 }) },
  publisher: { publish: async () => ({ name: 'k51', cid }) },
  backups: {
    begin: async ({ size }) => ({
      root: cid,
      size: 1234,
      leftOut: [{ repository: 'a/b', digest: 'sha256:1', reason: 'gone' }],
      bytes: encodeCar(cid, blocks(size)),
      [Symbol.asyncDispose]: async () => {
        backupsEnded++
      },
    }),
  },
  restorer: {
    restore: async source => {
      const root = await readCarRoot(source)
      return {
        root,
        blocks: (await Array.fromAsync(readCarBlocks(source))).length,
        bytes: 0,
        repositories: 1,
        tags: 1,
        manifests: 1,
        blobs: 1,
        seconds: 0.1,
      }
    },
  },
  rebuilder: {
    rebuild: async () => await answer('rebuild', rebuilt),
    waive: async () => {
      rebuilt = { ...rebuilt, whole: true }
    },
  },
  collector: {
    collect: async ({ dryRun = false, grace, onProgress } = {}) => {
      graces.push(grace)
      onProgress?.(progress)
      await collecting(dryRun)
      return { ...collected, dryRun }
    },
  },
  fsck: {
    run: async ({ repair = true, rate, onProgress } = {}) => {
      onProgress?.(fsckProgress)
      return { ...fsckResult, repair, bytes: rate ?? fsckResult.bytes }
    },
  },
})

let backupsEnded = 0
async function* blocks(count: number): AsyncGenerator<Block> {
  for (let i = 0; i < count; i++) {
    yield await leafBlock(new TextEncoder().encode(`block ${i}`))
  }
}

let rebuilt: RebuildResult = {
  whole: false,
  tags: 1,
  manifests: 2,
  blobs: 3,
  recovered: [],
  partial: 0,
  absent: [],
  problems: [{ repository: 'a', tag: 'v1', reason: 'gone' }],
  seconds: 0.1,
}
const progress = { phase: 'mark' as const, roots: 7, blocks: 0, bytes: 0 }
const collected = { dryRun: false, manifests: 1, links: 2, cached: 0, blocks: 3, bytes: 4096, seconds: 0.5 }
const fsckProgress = { phase: 'index' as const, blocks: 1, bytes: 4096, bad: 0, repaired: 0 }
const fsckResult = {
  repair: true,
  blocks: 1,
  bytes: 4096,
  missing: 0,
  damaged: 0,
  repaired: 0,
  unneeded: 0,
  images: [],
  others: [],
  unlisted: 0,
  seconds: 0.5,
}
/** Of the collections that were asked for; milliseconds */
const graces: Array<number | undefined> = []
let collecting: (dryRun: boolean) => Promise<void> = async () => {}

function post(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return {
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'Content-Type': 'application/json', ...headers },
  }
}

/** A machine that is busy tells more often how far it is */
function withoutRepetitions(lines: readonly unknown[]): unknown[] {
  return lines.filter((line, i) => !isDeepStrictEqual(line, lines[i - 1]))
}

function linesOf({ body }: Reply): unknown[] {
  return body
    .toString()
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as unknown)
}

for (const over of ['TCP', 'the socket'] as const) {
  describe(`/ipdr/v1 over ${over}`, () => {
    const resources = new AsyncDisposableStack()
    let app: TestApp
    let socketPath: string
    before(async () => {
      socketPath = join(resources.use(await temporaryDirectory('administration')).path, 'admin.sock')
      app = resources.use(await TestApp.start({ administration, socket: socketPath }))
    })
    after(async () => {
      await resources.disposeAsync()
    })

    async function ask(method: string, path: string, init: RequestInit = {}): Promise<Reply> {
      return await app.request(
        method,
        `/ipdr/v1/${path}`,
        over === 'the socket' ? { ...init, socketPath } : { ...init, headers: { ...init.headers, ...authorized } },
      )
    }

    it('lists peers and connects to them', async () => {
      assert.deepEqual(json(await ask('GET', 'peers')), { peers: [peer] })
      assert.deepEqual(json(await ask('POST', 'peers', post({ address: '/ip4/192.0.2.1/tcp/4001' }))), { peer: '12D3' })
    })

    it('resolves names and publishes', async () => {
      assert.deepEqual(json(await ask('GET', 'resolve?name=example.com')), {
        name: 'example.com',
        cid,
        path: ['a'],
        ttl: 60,
      })
      assert.deepEqual(json(await ask('GET', 'resolve?name=images/known:v1')), {
        name: 'images/known:v1',
        cid,
        path: [],
        ttl: 0,
      })
      assert.deepEqual(
        json(await ask('POST', 'publish', post({}, { 'Content-Type': 'application/json; charset=utf-8' }))),
        { name: 'k51', cid },
      )
    })

    it('collects garbage, and tells how far it is when that takes long', async () => {
      collecting = async dryRun => {
        await (dryRun ? undefined : sleep(1200))
      }
      const dry = await ask('POST', 'gc', post({ dryRun: true }))
      assert.deepEqual(linesOf(dry), [{ result: { ...collected, dryRun: true } }])
      assert.equal(dry.headers['content-type'], 'application/x-ndjson')
      assert.deepEqual(withoutRepetitions(linesOf(await ask('POST', 'gc', post({})))), [
        { progress },
        { result: collected },
      ])
    })

    it('undoes to a state or a time, and compares two of them', async () => {
      const undo = async (to: unknown): Promise<unknown> => json(await ask('POST', 'undo', post({ name: 'known', to })))
      const at = '2026-11-30T14:05:11.230Z'
      const state = { repository: 'known', tags: [], restored: [], removed: [] }
      assert.deepEqual(
        [await undo(3), await undo(at)],
        [3, 5].map(to => ({ ...state, to })),
      )
      const diff = json(await ask('GET', `diff?from=4&to=${encodeURIComponent('2026-11-30T15:07+01:00')}`))
      assert.deepEqual(diff, { from: 4, to: 7, tags: [], manifests: [] })
      const tags = json(await ask('GET', `history/tags?name=known:v1&last=a&at=${at}`))
      assert.deepEqual(tags, { repository: 'known', state: 5, tags: [], more: true })
      for (const query of ['name=known', 'at=4', 'name=known&at=x', 'name=A&at=4', 'name=known&at=4&n=x']) {
        assert.equal((await ask('GET', `history/tags?${query}`)).status, 400, query)
      }
      const error = 'must be the number of a state or a time such as 2026-11-30T14:00:00Z'
      for (const to of ['3', '2h', '2026-11-30', '2026-02-30T14:00:00Z', -1, 1.5, null, [at]]) {
        assert.match(((await undo(to)) as { error: string }).error, new RegExp(`to ${error}$`))
      }
      for (const query of ['', `from=${at}&from=${at}`, 'from=2026-11-30T14:00', 'from=-1']) {
        assert.match(String((await ask('GET', `diff?${query}`)).body), new RegExp(`from ${error}`), query)
      }
    })

    it('applies retention, and lists what goes and stays in pieces', async () => {
      const lines = linesOf(await ask('POST', 'retention', post({ dryRun: true })))
      const counts = lines.map(line => (line as { items?: unknown[] }).items?.length)
      assert.deepEqual(counts, [1000, 1, undefined])
      const result = { dryRun: true, repositories: 1, tags: 0, keptTags: 1001, manifests: 0, seconds: 0.1 }
      assert.deepEqual(lines.at(-1), { result })
    })

    it('tells which images are refused as they are not signed', async () => {
      assert.deepEqual(linesOf(await ask('POST', 'signatures', post({}))), [
        { items: [signatureDecision] },
        { result: { repositories: 1, pass: 0, refuse: 1, unsigned: 0 } },
      ])
    })

    it('checks what is stored', async () => {
      assert.deepEqual(linesOf(await ask('POST', 'fsck', post({}))), [{ result: fsckResult }])
      assert.deepEqual(linesOf(await ask('POST', 'fsck', post({ repair: false, rate: 7 }))), [
        { result: { ...fsckResult, repair: false, bytes: 7 } },
      ])
    })

    it('tells what went wrong with a collection, before and after the first line', async () => {
      collecting = async () => {
        throw new OciError('UNAVAILABLE', { detail: { reason: 'blocks are missing' } })
      }
      const reply = await ask('POST', 'gc', post({}))
      assert.deepEqual([reply.status, json(reply)], [503, { error: 'service unavailable: blocks are missing' }])
      collecting = async dryRun => {
        await sleep(1200)
        throw dryRun ? new TypeError('secret') : new OciError('UNAVAILABLE', { detail: { reason: 'the server stops' } })
      }
      assert.deepEqual(withoutRepetitions(linesOf(await ask('POST', 'gc', post({})))), [
        { progress },
        { error: 'service unavailable: the server stops' },
      ])
      assert.deepEqual(linesOf(await ask('POST', 'gc', post({ dryRun: true }))), [
        { progress },
        { error: 'unknown error' },
      ])
    })

    it('sends a backup without the blocks that it is told of, and takes one', async () => {
      backupsEnded = 0
      const headers = { 'Content-Type': 'application/vnd.ipdr.block-keys' }
      const reply = await ask('POST', 'backup', {
        headers,
        body: Buffer.concat([Buffer.alloc(16, 1), Buffer.alloc(16, 2), Buffer.alloc(16, 1)]),
        chunked: true,
      })
      assert.deepEqual(
        [reply.status, reply.headers['content-type'], reply.headers['x-ipfs-roots']],
        [200, 'application/vnd.ipld.car', cid],
      )
      const source = asyncIterableReader(
        (async function* () {
          yield reply.body
        })(),
      )
      assert.equal(await readCarRoot(source), cid)
      assert.deepEqual(
        (await Array.fromAsync(readCarBlocks(source))).map(({ cid }) => cid),
        (await Array.fromAsync(blocks(2))).map(({ cid }) => cid),
      )
      assert.equal(backupsEnded, 1)
      assert.equal((await ask('POST', 'backup', { headers, body: Buffer.alloc(17) })).status, 503)
      const [{ result }] = linesOf(
        await ask('POST', 'restore', { headers: { 'Content-Type': 'application/vnd.ipld.car' }, body: reply.body }),
      ) as [{ result: unknown }]
      assert.deepEqual(result, {
        root: cid,
        blocks: 2,
        bytes: 0,
        repositories: 1,
        tags: 1,
        manifests: 1,
        blobs: 1,
        seconds: 0.1,
      })
    })

    it('restores a lost index, or takes it as it is', async () => {
      assert.deepEqual(linesOf(await ask('POST', 'rebuild', post({}))), [{ result: rebuilt }])
      const waived = linesOf(await ask('POST', 'rebuild', post({ waive: true })))
      assert.deepEqual(waived, [{ result: { ...rebuilt, whole: true } }])
    })

    for (const [what, method, path, init, status, message] of [
      [
        'a backup asked for by a form',
        'POST',
        'backup',
        post({}),
        400,
        /Content-Type must be application\/vnd.ipdr.block-keys/,
      ],
      ['a restore that is no CAR', 'POST', 'restore', post({}), 400, /Content-Type must be application\/vnd.ipld.car/],
      ['a waiver that is neither', 'POST', 'rebuild', post({ waive: 'no' }), 400, /must be true or false/],
      ['a connection to nonsense', 'POST', 'peers', post({ address: '/nonsense' }), 400, /no multiaddr/],
      ['no address', 'POST', 'peers', post([]), 400, /must be a multiaddr/],
      ['a body that is no JSON', 'POST', 'peers', post('{'), 400, /not JSON/],
      ['a body without end', 'POST', 'peers', post({ address: 'x'.repeat(20_000) }), 413, /larger than/],
      ['a check with a body without end', 'POST', 'fsck', post({ rate: 'x'.repeat(20_000) }), 413, /larger than/],
      ['a rebuild with a body without end', 'POST', 'rebuild', post({ waive: 'x'.repeat(20_000) }), 413, /larger than/],
      ['a connection while offline', 'POST', 'peers', post({ address: '/offline' }), 503, /not connected/],
      [
        'a connection to nobody',
        'POST',
        'peers',
        post({ address: '/unreachable' }),
        503,
        /no connection to \/unreachable$/,
      ],
      ['no name', 'GET', 'resolve', {}, 400, /'name' missing/],
      ['a collection with a grace that is none', 'POST', 'gc', post({ grace: -1 }), 400, /grace must be a number/],
      ['retention that is neither dry nor not', 'POST', 'retention', post({ dryRun: 1 }), 400, /must be true or false/],
      ['a collection that is neither dry nor not', 'POST', 'gc', post({ dryRun: 'no' }), 400, /must be true or false/],
      ['a check that neither repairs nor not', 'POST', 'fsck', post({ repair: 'no' }), 400, /must be true or false/],
      ['a check with a rate that is none', 'POST', 'fsck', post({ rate: '50MiB' }), 400, /must be a number/],
      ['a name that is none', 'GET', 'resolve?name=/ipns/invalid', {}, 400, /is no name/],
      ['a repository that is none', 'GET', 'resolve?name=../x', {}, 400, /invalid repository name/],
      ['a tag that nobody has', 'GET', 'resolve?name=images/known:v2', {}, 404, /no images\/known:v2/],
      ['a domain without DNSLink', 'GET', 'resolve?name=nothing.example', {}, 404, /no valid DNSLink/],
      ['a DNS server that is away', 'GET', 'resolve?name=away.example', {}, 503, /No DNS server/],
      ['a bug', 'GET', 'resolve?name=bug.example', {}, 500, /^unknown error$/],
      ['another method', 'DELETE', 'peers', {}, 405, /unsupported/],
    ] as const) {
      it(`answers ${what} with ${status}`, async () => {
        const reply = await ask(method, path, init)
        assert.equal(reply.status, status)
        assert.equal(reply.headers['content-type'], 'application/json')
        const { error, ...more } = json(reply) as { error: string }
        assert.match(error, message)
        assert.deepEqual(more, {})
      })
    }
  })
}

describe('/ipdr/v1 over TCP', () => {
  let app: TestApp
  before(async () => {
    app = await TestApp.start({ administration })
  })
  after(async () => {
    await app[Symbol.asyncDispose]()
  })

  const endpoints = [
    ['GET', 'peers'],
    ['POST', 'peers'],
    ['GET', 'resolve'],
    ['POST', 'publish'],
    ['POST', 'gc'],
    ['POST', 'retention'],
    ['POST', 'signatures'],
    ['POST', 'fsck'],
    ['POST', 'rebuild'],
    ['POST', 'backup'],
    ['POST', 'restore'],
    ['HEAD', 'peers'],
    ['DELETE', 'gc'],
  ] as const
  for (const [method, path] of endpoints) {
    it(`${method} ${path} is not for who does not show the token`, async () => {
      const reply = await app.request(method, `/ipdr/v1/${path}`, method === 'POST' ? post({}) : {})
      assert.deepEqual(
        [reply.status, reply.headers['www-authenticate'], reply.headers['content-type']],
        [401, 'Bearer realm="ipdr"', 'application/json'],
      )
      assert.deepEqual(
        method === 'HEAD' ? undefined : json(reply),
        method === 'HEAD'
          ? undefined
          : { error: 'authentication required: the token of the administration is missing' },
      )
    })
  }

  for (const [what, headers] of [
    ['this machine', { Host: 'localhost' }],
    ['a proxy that says nothing', { Connection: 'close' }],
    ['a proxy that says for whom', { 'X-Forwarded-For': '127.0.0.1' }],
    ['who shows a password', { Authorization: 'Basic dG9rZW46dG9rZW4=' }],
    ['who shows two tokens', { Authorization: [authorized.Authorization, authorized.Authorization].join(', ') }],
    ['who shows nothing', { Authorization: 'Bearer ' }],
    ['who shows it as something else', { Authorization: authorized.Authorization.replace('Bearer', 'Token') }],
    ['a cookie', { Cookie: 'token=token-of-the-test-app' }],
  ] as const) {
    it(`is not for ${what}`, async () => {
      const reply = await app.request('POST', '/ipdr/v1/publish', post({}, headers))
      assert.deepEqual([reply.status, reply.headers['www-authenticate']], [401, 'Bearer realm="ipdr"'])
    })
  }

  for (const wrong of [
    `${authorized.Authorization}x`,
    authorized.Authorization.slice(0, -1),
    authorized.Authorization.toUpperCase(),
    'Bearer x',
  ]) {
    it(`is not for who shows ${wrong}`, async () => {
      const reply = await app.get('/ipdr/v1/peers', { Authorization: wrong })
      assert.deepEqual(
        [reply.status, reply.headers['www-authenticate']],
        [401, 'Bearer realm="ipdr", error="invalid_token"'],
      )
      assert.deepEqual(json(reply), { error: 'authentication required: this is not the token of the administration' })
    })
  }

  it('takes the token wherever it comes from, but from no page', async () => {
    assert.equal(
      (await app.get('/ipdr/v1/peers', { ...authorized, Host: 'registry.example', 'X-Forwarded-For': '192.0.2.1' }))
        .status,
      200,
    )
    for (const [name, value] of [
      ['Origin', 'https://evil.example'],
      ['Origin', 'http://127.0.0.1:1'],
      ['Sec-Fetch-Site', 'cross-site'],
    ] as const) {
      assert.equal((await app.get('/ipdr/v1/peers', { ...authorized, [name]: value })).status, 403)
    }
    for (const type of ['application/x-www-form-urlencoded', 'text/plain']) {
      assert.equal(
        (await app.request('POST', '/ipdr/v1/publish', post({}, { ...authorized, 'Content-Type': type }))).status,
        400,
      )
    }
  })
})

describe('a restore that is refused', () => {
  it('leaves no timer of its body behind', async () => {
    const restore = async (): Promise<never> => {
      throw new OciError('DENIED')
    }
    await using app = await TestApp.start({
      administration: { restore } as unknown as Administration,
      limits: { bodyRate: { bytes: 1, period: 60_000 } },
    })
    const timers = (): number => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
    const before = timers()
    for (let i = 0; i < 10; i++) {
      const headers = { ...authorized, 'Content-Type': 'application/vnd.ipld.car' }
      const { status } = await app.request('POST', '/ipdr/v1/restore', { headers, body: 'nothing of it is read' })
      assert.equal(status, 403)
    }
    assert.ok(timers() < before + 5, `${before} before, ${timers()} after`)
  })
})

describe('paths that look like those of administration', () => {
  for (const path of [
    '/IPDR/V1/gc',
    '/ipdr/V1/gc',
    '/ipdr/v1/GC',
    '/ipdr/v1/gc/',
    '/Ipdr/v1/backup',
    '/ipdr/v1/backup/',
    '//ipdr/v1/gc',
    '/ipdr//v1/gc',
    '/ipdr/v1/%67c/',
  ]) {
    it(`${path} leads nowhere`, async () => {
      await using app = await TestApp.start({ administration })
      assertError(await app.request('POST', path, post({}, authorized)), 'NOT_FOUND')
    })
  }
})

describe('/ipdr/v1 and a body that trickles', () => {
  for (const [path, type] of [
    ['peers', 'application/json'],
    ['gc', 'application/json'],
    ['fsck', 'application/json'],
    ['rebuild', 'application/json'],
    ['backup', 'application/vnd.ipdr.block-keys'],
    ['restore', 'application/vnd.ipld.car'],
  ] as const) {
    it(`ends it: ${path}`, async () => {
      await using app = await TestApp.start({ administration, limits: { bodyRate: { bytes: 20, period: 300 } } })
      assert.match(
        await app.exchange(
          `POST /ipdr/v1/${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorized.Authorization}\r\nContent-Type: ${type}\r\nContent-Length: 1000\r\n\r\n{`,
        ),
        /^HTTP\/1\.1 408 |"error":"[^"]*too slowly/,
      )
    })
  }
})

describe('/ipdr/v1 with an admin port', () => {
  it('is there alone, and for who shows the token', async () => {
    await using app = await TestApp.start({ administration, adminPort: true })
    assert.equal((await app.get('/ipdr/v1/peers', authorized)).status, 404)
    const port = app.adminPort
    assert.equal((await app.request('GET', '/ipdr/v1/peers', { port })).status, 401)
    assert.equal((await app.request('GET', '/ipdr/v1/peers', { port, headers: authorized })).status, 200)
    assert.equal((await app.request('POST', '/ipdr/v1/publish', { ...post({}, authorized), port })).status, 200)
  })
})
