import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { run } from '../../../../src/cli/program.ts'
import { startTemporaryRegistry } from '../../../../src/cli/process/temporary-registry.ts'
import { push } from '../../../../src/client/transfer/push.ts'
import { TestApp } from '../../../fixtures/app.ts'
import { fakeServer } from '../../../fixtures/fake-server.ts'
import { makeImage, makeMultiPlatformImage, readLayout, writeLayout } from '../../../fixtures/images.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'
import { until } from '../../../fixtures/until.ts'
import { fakeContext } from '../fake-context.ts'
import { ipdr } from '../ipdr.ts'

const amd64 = makeImage([{ a: Buffer.alloc(3000, 'amd') }])
const arm64 = makeImage([{ a: Buffer.from('arm') }], { architecture: 'arm64', os: 'linux' })
const multi = makeMultiPlatformImage(
  new Map([
    ['amd64', amd64],
    ['arm64', arm64],
  ]),
)
/** Nobody listens there */
const nobody = '127.0.0.1:9'

let scratch: TemporaryDirectory
let app: TestApp
let host: string
let cid: string

before(async () => {
  scratch = await temporaryDirectory('cli')
  await writeLayout(join(scratch.path, 'multi'), multi)
  app = await TestApp.start()
  host = `localhost:${app.port}`
  const pushed = await ipdr([
    'push',
    'example/multi:v1',
    '--silent',
    '--from',
    join(scratch.path, 'multi'),
    '--docker-registry-host',
    host,
  ])
  assert.deepEqual({ code: pushed.code, err: pushed.err }, { code: 0, err: '' })
  cid = pushed.out.trim()
})

after(async () => {
  await app[Symbol.asyncDispose]()
  await scratch[Symbol.asyncDispose]()
})

async function at(...args: string[]): ReturnType<typeof ipdr> {
  return await ipdr([...args, '--docker-registry-host', host])
}

describe('ipdr push', () => {
  it('prints the path of the image last', async () => {
    for (const flags of [[], ['--from', `${host}/example/multi:v1`]]) {
      const from = flags.length > 0 ? flags : ['--from', join(scratch.path, 'multi')]
      const { code, err, out } = await at('push', 'example/other', ...from)
      assert.deepEqual(
        { code, err, out },
        { code: 0, err: '', out: `Successfully pushed Docker image to IPFS:\n/ipfs/${cid}\n` },
      )
    }
  })

  it('with -s or --quiet prints the CID only', async () => {
    for (const flag of ['-s', '--silent', '--quiet']) {
      assert.equal((await at('push', 'example/other', flag, '--from', `${host}/example/multi:v1`)).out, `${cid}\n`)
    }
  })

  it('and pull with --json print one line', async () => {
    const from = join(scratch.path, 'multi')
    const pushed = await at('push', 'example/json:v1', '--json', '--from', from)
    assert.deepEqual([pushed.err, JSON.parse(pushed.out)], ['', { image: 'example/json:v1', cid, missing: [] }])
    const output = join(scratch.path, 'json')
    const pulled = await at('pull', 'example/json:v1', '--json', '--output', output)
    assert.deepEqual(
      [pulled.err, JSON.parse(pulled.out)],
      ['', { image: 'example/json:v1', name: output, missing: [] }],
    )
  })

  it('has every platform in the appliance', async () => {
    for (const [digest, bytes] of multi.content) {
      const { body, status } = await app.get(
        `/v2/example/multi/${String(bytes).includes('schemaVersion') ? 'manifests' : 'blobs'}/${digest}`,
      )
      assert.ok(status === 200 && body.equals(bytes), digest)
    }
  })

  it('says which platforms are missing', async () => {
    const directory = join(scratch.path, 'sparse')
    const sparse = { ...multi, content: new Map(multi.content) }
    sparse.content.delete(arm64.descriptor.digest)
    await writeLayout(directory, sparse)
    const { code, err } = await at('push', 'example/sparse', '--from', directory)
    assert.deepEqual(
      { code, err },
      {
        code: 0,
        err: `The source does not have everything that its index names; left out: ${arm64.descriptor.digest}\n`,
      },
    )
  })

  for (const [args, error] of [
    [['../x'], /^ipdr: invalid repository name/],
    [['x:a b'], /^ipdr: invalid tag/],
    [['x', '--from', '/nope'], /^ipdr: \/nope does not exist\n$/],
    [['x', '--ipfs-host', nobody], /^ipdr: 127\.0\.0\.1:9 can't be reached/],
    [['x', '--ipfs-host', '/nope'], /is not host:port, a URL or a multiaddr\n$/],
    [['x', '--from', 'localhost:9/x'], /^ipdr: localhost:9 can't be reached/],
  ] as const) {
    it(`${args.join(' ')} is an error, and no stack`, async () => {
      const { code, err, out } = await at('push', ...args)
      assert.deepEqual({ code, out }, { code: 1, out: '' })
      assert.match(err, error)
      assert.doesNotMatch(err, /bug/)
    })
  }

  it('tells where nobody answers', async () => {
    const init = {
      image: 'x',
      registryHost: nobody,
      defaultIpfsHost: nobody,
      plainHttp: false,
      credentials: async () => undefined,
      startRegistry: startTemporaryRegistry,
      warn: () => {},
    }
    await assert.rejects(push(init), {
      name: 'ClientError',
      message: `neither an appliance at ${nobody} nor a kubo at ${nobody} answers`,
    })
  })

  it('does not call another registry an appliance', async () => {
    await using other = await fakeServer(({ method, url }, res) => {
      res.writeHead(url === '/v2/' ? 200 : method === 'HEAD' ? 200 : 201).end()
    })
    const { code, err } = await ipdr([
      'push',
      'x',
      '--from',
      join(scratch.path, 'multi'),
      '--docker-registry-host',
      other.host,
    ])
    assert.deepEqual(
      { code, err },
      { code: 1, err: `ipdr: ${other.host} has the image now, but gave it no CID: it is not an IPDR appliance\n` },
    )
  })

  it('is over at the first Ctrl+C', async () => {
    await using stuck = await fakeServer(({ url }, res) => {
      if (url === '/v2/') {
        res.end('{}')
      }
    })
    const context = fakeContext()
    const done = run(
      ['push', 'x', '--from', join(scratch.path, 'multi'), '--docker-registry-host', stuck.host],
      context,
    )
    await until('the push has begun', () => stuck.requests.length > 1)
    context.process.emit('SIGINT')
    assert.equal(await done, 130)
    assert.equal(context.stderr.text, 'ipdr: interrupted\n')
    assert.equal(context.process.listenerCount('SIGINT'), 0)
  })
})

describe('ipdr pull', () => {
  const forms = {
    'a CID': () => cid,
    'a path': () => `/ipfs/${cid}`,
    'a name': () => 'example/multi:v1',
    'a name with a host': () => `${host}/example/multi:v1`,
  }
  for (const [what, image] of Object.entries(forms)) {
    it(`by ${what} writes an OCI image layout of all platforms`, async () => {
      const output = join(scratch.path, `pulled by ${what}`)
      const { code, err, out } = await at('pull', image(), '--output', output)
      assert.deepEqual(
        { code, err, out },
        { code: 0, err: '', out: `Successfully pulled Docker image from IPFS:\n${output}\n` },
      )
      for (const [digest, bytes] of multi.content) {
        assert.ok((await readLayout(output, digest)).equals(bytes))
      }
      const { manifests } = JSON.parse(await readFile(join(output, 'index.json'), 'utf8')) as {
        manifests: { digest: string }[]
      }
      assert.deepEqual(
        manifests.map(({ digest }) => digest),
        [multi.descriptor.digest],
      )
    })
  }

  it('takes one platform, and leaves other images of a layout alone', async () => {
    const output = join(scratch.path, 'pulled')
    await at('pull', 'example/multi:v1', '--output', output, '--platform', 'linux/arm64')
    await at('pull', 'example/other', '--output', output, '--platform', 'linux/amd64', '-s')
    const { manifests } = JSON.parse(await readFile(join(output, 'index.json'), 'utf8')) as {
      manifests: { digest: string; annotations: object }[]
    }
    const refName = 'org.opencontainers.image.ref.name'
    assert.deepEqual(
      manifests.map(({ annotations, digest }) => [digest, annotations]),
      [
        [arm64.descriptor.digest, { [refName]: 'v1' }],
        [amd64.descriptor.digest, { [refName]: 'latest' }],
      ],
    )
    await assert.rejects(readLayout(output, multi.descriptor.digest), { code: 'ENOENT' })
  })

  it('writes an archive that can be pushed again', async () => {
    const output = join(scratch.path, 'image.tar')
    assert.equal((await at('pull', cid, '--output', output, '-s')).out, `${output}\n`)
    assert.equal((await at('push', 'example/again', '-s', '--from', output)).out, `${cid}\n`)
  })

  it('writes into no directory that holds something else', async () => {
    const { code, err } = await at('pull', cid, '--output', scratch.path)
    assert.deepEqual(
      { code, err },
      { code: 1, err: `ipdr: ${scratch.path} is neither empty nor an OCI image layout\n` },
    )
  })

  for (const [args, error] of [
    [['example/nope'], /answered 404 MANIFEST_UNKNOWN/],
    [['../x'], /^ipdr: invalid repository name/],
    [['x', '--platform', 'y'], /^ipdr: "y" is not a platform/],
    [
      ['example/multi:v1', '--platform', 'linux/s390x'],
      /^ipdr: the image has nothing for linux\/s390x; it has: linux\/amd64, linux\/arm64\n/,
    ],
    [
      ['k51qzi5uqu5dgdah039jpvmdidn6t55oz1ej69tshgdzlrkfsyj2asns47ukbj', '-g', 'https://gateway.example'],
      /^ipdr: a gateway's answer for an IPNS name can't be checked/,
    ],
  ] as const) {
    it(`${args.join(' ')} is an error, and leaves no file`, async () => {
      const output = join(scratch.path, 'none.tar')
      const { code, err, out } = await at('pull', ...args, '--output', output)
      assert.deepEqual({ code, out }, { code: 1, out: '' })
      assert.match(err, error)
      assert.ok(!(await readdir(scratch.path)).some(name => name.startsWith('none.tar')))
    })
  }

  it('refuses what is damaged on its way', async () => {
    await using liar = await fakeServer(({ url }, res) => {
      const reference = url.split('/').at(-1)!
      const isTop = reference === 'latest'
      const bytes = amd64.content.get(isTop ? amd64.descriptor.digest : (reference as `sha256:${string}`))
      res.setHeader('Content-Type', isTop ? amd64.descriptor.mediaType : 'application/octet-stream')
      res.end(url.includes('/blobs/') ? Buffer.alloc(bytes!.length) : (bytes ?? '{}'))
    })
    const output = join(scratch.path, 'damaged.tar')
    const { code, err } = await ipdr(['pull', 'x', '--docker-registry-host', liar.host, '--output', output])
    assert.equal(code, 1)
    assert.match(err, /^ipdr: sha256:[0-9a-f]+ is damaged: the bytes have the digest/)
    assert.ok(!(await readdir(scratch.path)).some(name => name.startsWith('damaged.tar')))
  })

  it('says that no appliance answers to a name', async () => {
    const { code, err } = await ipdr([
      'pull',
      'example/x',
      '--docker-registry-host',
      nobody,
      '--output',
      join(scratch.path, 'x'),
    ])
    assert.equal(code, 1)
    assert.match(err, /^ipdr: no appliance answers at 127\.0\.0\.1:9/)
  })
})

describe('ipdr ls', () => {
  it('lists tags with sizes and CIDs', async () => {
    const { code, out } = await at('ls', 'example/multi')
    assert.equal(code, 0)
    assert.match(out, new RegExp(`^REPOSITORY +TAG +SIZE +CID\nexample/multi +v1 +[\\d.]+ KiB +${cid}\n$`))
    const all = JSON.parse((await at('ls', '--json')).out) as {
      name: string
      tag: string
      cid: string
      size: number
      digest: string
    }[]
    const size = [...multi.content.values()].reduce((total, { length }) => total + length, 0)
    assert.deepEqual(
      all.find(({ name }) => name === 'example/multi'),
      { name: 'example/multi', tag: 'v1', digest: multi.descriptor.digest, cid, size },
    )
  })

  it('says that there is no such repository', async () => {
    assert.match((await at('ls', 'nope')).err, /404 NAME_UNKNOWN/)
    assert.match((await at('ls', '../nope')).err, /^ipdr: invalid repository name/)
  })
})

describe('ipdr inspect', () => {
  it('shows platforms, layers and CIDs', async () => {
    const { code, out } = await at('inspect', 'example/multi:v1')
    assert.equal(code, 0)
    for (const part of [cid, ...multi.content.keys(), 'Platform  linux/amd64', 'Platform  linux/arm64']) {
      assert.ok(out.includes(part), part)
    }
    const image = JSON.parse((await at('inspect', cid, '--json')).out) as {
      name: string
      manifests: { platform: string; layers: { cid: string }[] }[]
    }
    assert.equal(image.name, cid)
    assert.deepEqual(
      image.manifests.map(({ platform }) => platform),
      ['linux/amd64', 'linux/arm64', undefined],
    )
    assert.match(image.manifests[0]!.layers[0]!.cid, /^bafkrei/)
  })
})

describe('ipdr dig', () => {
  const answers: Record<string, string> = {
    'q=a%2Fb%3Av1&short=true': `${'bafy'}\n`,
    'q=a%2Fb%3Av1&short=false': '{"schemaVersion":2}\n',
    'q=a%2Fb&short=true': 'v1\nv2\n',
    'q=empty&short=true': '',
  }
  const cases: [string[], string][] = [
    [['a/b:v1'], 'bafy\n'],
    [['a/b:v1', '--short=false'], '{"schemaVersion":2}\n'],
    [['a/b'], 'v1\nv2\n'],
    [['a/b:v1', '--json'], '{"name":"a/b","tag":"v1","cid":"bafy"}\n'],
    [['a/b', '--json'], '{"name":"a/b","tags":["v1","v2"]}\n'],
  ]
  for (const [args, out] of cases) {
    it(args.join(' '), async () => {
      await using server = await fakeServer(({ url }, res) => {
        const answer = answers[url.replace('/dig?', '')]
        res.writeHead(answer === undefined ? 404 : 200).end(answer)
      })
      assert.deepEqual(await ipdr(['dig', ...args, '--docker-registry-host', server.host]), { code: 0, out, err: '' })
      assert.deepEqual(await ipdr(['dig', `${server.host}/${args[0]}`, ...args.slice(1)]), { code: 0, out, err: '' })
      assert.deepEqual(await ipdr(['dig', 'nope:v1', '--docker-registry-host', server.host]), {
        code: 1,
        out: '',
        err: `ipdr: ${server.host} does not have nope:v1\n`,
      })
      assert.equal((await ipdr(['dig', 'empty', '--docker-registry-host', server.host])).code, 1)
    })
  }

  it('does not traverse', async () =>
    assert.match((await at('dig', '../../etc:passwd')).err, /^ipdr: invalid repository name/))
  it('wants to know whether it is short', async () =>
    assert.match((await at('dig', 'x', '--short=maybe')).err, /It must be true or false/))
})

describe('ipdr retention', () => {
  const digest = `sha256:${'1'.repeat(64)}`
  const decisions = [
    { action: 'keep', repository: 'a/b', tag: 'v2', digest, why: 'its name' },
    { action: 'delete', repository: 'a/b', tag: 'v1', digest, why: 'nothing keeps it: retention[0]' },
    { action: 'delete', repository: 'a/b', digest, why: 'its tag v1 goes' },
  ]
  const result = { repositories: 1, tags: 1, keptTags: 1, manifests: 1, seconds: 0.5 }
  const going = `delete  a/b:v1${' '.repeat(71)}nothing keeps it: retention[0]\ndelete  a/b@${digest}  its tag v1 goes\n`
  const counts = '1 tags and 1 manifests of 1 repositories that a rule is about; 1 tags stay (0.5 s)\n'
  const cases: [string[], boolean, string][] = [
    [[], false, `${going}Deleted ${counts}`],
    [['--dry-run'], true, `${going}keep    a/b:v2${' '.repeat(71)}its name\nWould delete ${counts}`],
    [['--dry-run', '--json'], true, `${JSON.stringify({ dryRun: true, ...result, decisions })}\n`],
  ]
  for (const [args, dryRun, out] of cases) {
    it(`${['retention', ...args].join(' ')} prints what goes, and why`, async () => {
      await using server = await fakeServer(({ body, method, url }, res) => {
        const isRight = `${method} ${url} ${body}` === `POST /ipdr/v1/retention {"dryRun":${dryRun}}`
        const lines = [
          { items: decisions.slice(0, 1) },
          { items: decisions.slice(1) },
          { result: { dryRun, ...result } },
        ]
        res.writeHead(isRight ? 200 : 404).end(lines.map(line => `${JSON.stringify(line)}\n`).join(''))
      })
      const expected = { code: 0, out, err: '' }
      assert.deepEqual(await ipdr(['retention', ...args, '--docker-registry-host', server.host]), expected)
    })
  }
})

describe('ipdr signatures', () => {
  const digest = `sha256:${'1'.repeat(64)}`
  const of = (action: string, tag: string, why: string): object => ({ action, repository: 'a', tag, digest, why })
  const decisions = [of('pass', 'v2', 'onlySigned[0]: signed by release'), of('refuse', 'v1', 'onlySigned[0]: why')]
  const result = { repositories: 1, pass: 1, refuse: 1, unsigned: 0 }
  const text =
    'refuse  a:v1  onlySigned[0]: why\npass    a:v2  onlySigned[0]: signed by release\n' +
    '1 refused, 0 unsigned, 1 signed, in 1 repositories that a policy is about\n'
  for (const [args, out] of [
    [[], text],
    [['--json'], `${JSON.stringify({ ...result, decisions })}\n`],
  ] as [string[], string][]) {
    it(`${['signatures', ...args].join(' ')} prints what is refused, and why`, async () => {
      await using server = await fakeServer(({ body, method, url }, res) => {
        const isRight = `${method} ${url} ${body}` === 'POST /ipdr/v1/signatures {}'
        const lines = [{ items: decisions }, { result }]
        res.writeHead(isRight ? 200 : 404).end(lines.map(line => `${JSON.stringify(line)}\n`).join(''))
      })
      const expected = { code: 0, out, err: '' }
      assert.deepEqual(await ipdr(['signatures', ...args, '--docker-registry-host', server.host]), expected)
    })
  }
})

describe('ipdr gc', () => {
  const progress = { phase: 'sweep', roots: 3, blocks: 2, bytes: 2048 }
  const result = { dryRun: false, manifests: 1, links: 2, cached: 3, blocks: 4, bytes: 5 * 1024 * 1024, seconds: 1.25 }
  const lines = (...values: unknown[]): string => values.map(value => `${JSON.stringify(value)}\n`).join('')
  const cases: [string[], string, string, { code: number; out: string; err: string }][] = [
    [
      ['gc'],
      '{"dryRun":false}',
      lines(
        { progress: { ...progress, phase: 'index' } },
        { progress: { ...progress, phase: 'mark' } },
        { progress: { ...progress, checked: 10, total: 40 } },
        { result },
      ),
      {
        code: 0,
        out: 'Freed 5.0 MiB in 4 blocks; deleted 1 untagged manifests, 2 unused blobs and 3 cached images (1.25 s)\n',
        err: 'reading the index\n3 roots marked\n3 roots marked, 2 blocks (2.0 KiB) of garbage found, 25 % of 40 blocks\n',
      },
    ],
    [
      ['gc', '--dry-run'],
      '{"dryRun":true}',
      lines({ result: { ...result, dryRun: true } }),
      {
        code: 0,
        out: 'Would free 5.0 MiB in 4 blocks; would delete 1 untagged manifests, 2 unused blobs and 3 cached images (1.25 s)\n',
        err: '',
      },
    ],
    [
      ['gc', '--grace', '5m', '--json'],
      '{"dryRun":false,"grace":300}',
      lines({ result }),
      { code: 0, out: lines(result), err: '' },
    ],
    [['gc', '--json'], '{"dryRun":false}', lines({ progress }, { result }), { code: 0, out: lines(result), err: '' }],
    [
      ['gc', '--json'],
      '{"dryRun":false}',
      lines({ progress }, { error: 'blocks are missing' }),
      { code: 1, out: '', err: 'ipdr: garbage collection: blocks are missing\n' },
    ],
  ]
  for (const [args, request, answer, expected] of cases) {
    it(`${args.join(' ')}: ${answer.slice(-40).trim()}`, async () => {
      await using server = await fakeServer(({ body, method, url }, res) => {
        res.writeHead(`${method} ${url} ${body}` === `POST /ipdr/v1/gc ${request}` ? 200 : 404).end(answer)
      })
      assert.deepEqual(await ipdr([...args, '--docker-registry-host', server.host]), expected)
    })
  }

  it('wants to know how long the grace is', async () =>
    assert.match(
      (await ipdr(['gc', '--grace', 'soon'])).err,
      /'--grace <duration>' argument 'soon' is invalid. It must be a duration/,
    ))

  it('says so where the answer breaks off, or is none', async () => {
    for (const [answer, message] of [
      [lines({ progress }), /stopped answering before the garbage collection ended/],
      ['<html>\n', /did not answer with lines of JSON/],
    ] as const) {
      await using server = await fakeServer((_, res) => {
        res.writeHead(200).end(answer)
      })
      const { code, err } = await ipdr(['gc', '--json', '--docker-registry-host', server.host])
      assert.equal(code, 1)
      assert.match(err, message)
    }
  })
})

describe('ipdr fsck', () => {
  const progress = { phase: 'index', blocks: 2, bytes: 2048, bad: 0, repaired: 0 }
  const result = {
    repair: true,
    blocks: 4,
    bytes: 5 * 1024 * 1024,
    missing: 0,
    damaged: 0,
    repaired: 0,
    unneeded: 0,
    images: [],
    others: [],
    unlisted: 0,
    seconds: 1.25,
  }
  const hurt = {
    ...result,
    missing: 1,
    damaged: 4,
    repaired: 2,
    images: [
      {
        repository: 'a/b',
        digest: 'sha256:1',
        tags: ['v1', 'v2'],
        blocks: ['bafk1', 'bafk2', 'bafk3', 'bafk4', 'bafk5'],
      },
      { repository: 'c', digest: 'sha256:2', tags: [], blocks: ['bafk1'] },
    ],
    others: [{ what: 'tag c:v1', blocks: [], problem: 'there is no manifest sha256:3' }],
    unlisted: 1,
  }
  const lines = (...values: unknown[]): string => values.map(value => `${JSON.stringify(value)}\n`).join('')
  const notWell = 'ipdr: some images are damaged: push those that are listed again, or delete them\n'
  const cases: [string[], string, string, { code: number; out: string; err: string }][] = [
    [
      ['fsck'],
      '{"repair":true}',
      lines(
        { progress },
        { progress: { ...progress, phase: 'blocks', bad: 1 } },
        { progress: { ...progress, phase: 'repair', bad: 2, repaired: 1 } },
        { result },
      ),
      {
        code: 0,
        out: '4 blocks (5.0 MiB) are right; 0 were missing and 0 damaged, 0 of them repaired; 0 damaged ones are not needed (1.25 s)\n',
        err: 'blocks of the index: 2 blocks (2.0 KiB) are right\nother blocks: 2 blocks (2.0 KiB) are right, 1 are not\n1 repaired: 2 blocks (2.0 KiB) are right, 2 were not\n',
      },
    ],
    [
      ['fsck', '--no-repair', '--rate', '2MiB', '--json'],
      '{"repair":false,"rate":2097152}',
      lines({ progress }, { result }),
      { code: 0, out: lines(result), err: '' },
    ],
    [
      ['fsck', '--rate', 'off', '--json'],
      '{"repair":true,"rate":0}',
      lines({ result: hurt }),
      { code: 1, out: lines(hurt), err: notWell },
    ],
    [
      ['fsck', '--dry-run'],
      '{"repair":false}',
      lines({ result: { ...hurt, repair: false, repaired: 0 } }),
      {
        code: 1,
        out:
          'a/b@sha256:1 (v1, v2): missing or damaged: bafk1, bafk2, bafk3, 2 more\nc@sha256:2: missing or damaged: bafk1\ntag c:v1: there is no manifest sha256:3\nand 1 more\n' +
          '4 blocks (5.0 MiB) are right; 1 are missing and 4 damaged, 0 of them repaired; 0 damaged ones are not needed (1.25 s)\n',
        err: notWell,
      },
    ],
    [
      ['fsck'],
      '{"repair":true}',
      lines({ error: 'the server stops' }),
      { code: 1, out: '', err: 'ipdr: fsck: the server stops\n' },
    ],
  ]
  for (const [args, request, answer, expected] of cases) {
    it(`${args.join(' ')}: ${answer.slice(-40).trim()}`, async () => {
      await using server = await fakeServer(({ body, method, url }, res) => {
        res.writeHead(`${method} ${url} ${body}` === `POST /ipdr/v1/fsck ${request}` ? 200 : 404).end(answer)
      })
      assert.deepEqual(await ipdr([...args, '--docker-registry-host', server.host]), expected)
    })
  }

  const rebuilt = {
    whole: true,
    tags: 1,
    manifests: 2,
    blobs: 3,
    recovered: ['sha256:9'],
    partial: 4,
    absent: [],
    problems: [],
    seconds: 0.5,
  }
  const torn = {
    ...rebuilt,
    whole: false,
    absent: [{ repository: 'a', digest: 'sha256:2', reason: 'was not here' }],
    problems: [
      { repository: 'a', tag: 'v1', digest: 'sha256:1', cid: 'bafk', reason: 'gone' },
      { cid: 'bafy', reason: 'damaged' },
    ],
  }
  const steps = lines(
    { progress: { phase: 'tags', blocks: 5, manifests: 1, blobs: 2, images: 1, total: 3 } },
    { result: rebuilt },
  )
  const notAll =
    'ipdr: the index is not complete\nRepair what is listed and run this again. --waive declares the index complete as it is, and the rest becomes garbage.\n'
  const rebuilds: typeof cases = [
    [
      ['fsck', '--rebuild'],
      '{"waive":false}',
      steps,
      {
        code: 0,
        out: 'recovered@sha256:9: no repository claims it\nRebuilt 1 tags, 2 manifests and 3 blobs; 1 images that no repository claims, 4 that are only partly here, 0 things that were never here, 0 problems (0.5 s)\n',
        err: 'rebuilding tagged images: 5 blocks read, 1 manifests and 2 blobs rebuilt, 33 % of 3 images\n',
      },
    ],
    [['fsck', '--rebuild', '--waive', '--json'], '{"waive":true}', steps, { code: 0, out: lines(rebuilt), err: '' }],
    [
      ['fsck', '--rebuild', '--json'],
      '{"waive":false}',
      lines({ result: torn }),
      { code: 1, out: lines(torn), err: notAll },
    ],
    [
      ['fsck', '--rebuild'],
      '{"waive":false}',
      lines({ result: { ...torn, recovered: [] } }),
      {
        code: 1,
        out: 'a@sha256:2: was not here\na:v1@sha256:1: gone\nbafy: damaged\nRebuilt 1 tags, 2 manifests and 3 blobs; 0 images that no repository claims, 4 that are only partly here, 1 things that were never here, 2 problems (0.5 s)\n',
        err: notAll,
      },
    ],
  ]
  for (const [args, request, answer, expected] of rebuilds) {
    it(`${args.join(' ')}: ${answer.slice(-40).trim()}`, async () => {
      await using server = await fakeServer(({ body, method, url }, res) => {
        res.writeHead(`${method} ${url} ${body}` === `POST /ipdr/v1/rebuild ${request}` ? 200 : 404).end(answer)
      })
      assert.deepEqual(await ipdr([...args, '--docker-registry-host', server.host]), expected)
    })
  }

  it('wants a rate that is one', async () => {
    assert.match((await ipdr(['fsck', '--rate', 'fast'])).err, /It must be a size such as 50MiB, or off/)
  })
  it('says how to begin where no server runs', async () => {
    const { host, [Symbol.asyncDispose]: close } = await fakeServer(() => {})
    await close()
    const { code, err } = await ipdr(['fsck', '--docker-registry-host', host])
    assert.equal(code, 1)
    assert.match(err, /can't be reached.*\nfsck runs in the server: start one by `ipdr server/)
  })
})

describe('ipdr resolve, peers and publish', () => {
  const key = 'k51qzi5uqu5dgdah039jpvmdidn6t55oz1ej69tshgdzlrkfsyj2asns47ukbj'
  const peer = {
    peer: '12D3KooWAKXB',
    address: '/ip4/192.0.2.1/tcp/4001',
    direction: 'outbound',
    limited: false,
    latency: 12.4,
  }
  const answers: Record<string, unknown> = {
    [`GET /ipdr/v1/resolve?name=${key}`]: { cid: 'bafy', path: ['cids'] },
    'GET /ipdr/v1/peers': { peers: [peer, { ...peer, limited: true, latency: undefined }] },
    'POST /ipdr/v1/peers {"address":"/ip4/192.0.2.1/tcp/4001"}': { peer: peer.peer },
    'POST /ipdr/v1/publish {}': { name: key, cid: 'bafy' },
  }
  const record = `dnslink=/ipns/${key}/cids`
  const cases: [string[], string][] = [
    [['resolve', key], '/ipfs/bafy/cids\n'],
    [['resolve', key, '--json'], `{"name":"${key}","cid":"bafy","path":["cids"]}\n`],
    [
      ['peers'],
      [
        'PEER          DIRECTION          LATENCY  ADDRESS',
        `${peer.peer}  outbound           12 ms    ${peer.address}`,
        `${peer.peer}  outbound, relayed  -        ${peer.address}`,
        '',
      ].join('\n'),
    ],
    [['peers', 'connect', peer.address], `connected to ${peer.peer}\n`],
    [['peers', 'connect', peer.address, '--json'], `{"peer":"${peer.peer}"}\n`],
    [
      ['publish'],
      `Published /ipfs/bafy as /ipns/${key}\nTo use a domain instead, set the TXT record of _dnslink.<domain> once:\n${record}\n`,
    ],
    [['publish', '--json'], `{"name":"${key}","cid":"bafy","record":"${record}"}\n`],
  ]
  for (const [args, out] of cases) {
    it(args.join(' '), async () => {
      await using server = await fakeServer(({ body, method, url }, res) => {
        const answer = answers[`${method} ${url} ${body}`.trim()]
        res.writeHead(answer === undefined ? 404 : 200).end(JSON.stringify(answer))
      })
      assert.deepEqual(await ipdr([...args, '--docker-registry-host', server.host]), { code: 0, out, err: '' })
    })
  }

  it('tell what the appliance says', async () => {
    await using server = await fakeServer((_, res) => {
      res
        .writeHead(503)
        .end('{"errors":[{"code":"UNAVAILABLE","message":"service unavailable","detail":{"reason":"offline"}}]}')
    })
    for (const args of [['resolve', key], ['peers'], ['peers', 'connect', '/ip4/1.2.3.4/tcp/1'], ['publish']]) {
      const { code, err } = await ipdr([...args, '--docker-registry-host', server.host])
      assert.equal(code, 1)
      assert.match(err, /answered 503 UNAVAILABLE service unavailable: offline\n$/)
    }
  })
})
