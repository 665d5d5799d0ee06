import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { run } from '../../../../src/cli/program.ts'
import { fakeServer } from '../../../fixtures/fake-server.ts'
import { until } from '../../../fixtures/until.ts'
import { fakeContext } from '../fake-context.ts'
import { ipdr } from '../ipdr.ts'

const gibibyte = 2 ** 30
const name = 'docker.io/library/alpine:3'
const digest = `sha256:${'1'.repeat(64)}`
const image = { name, digest, manifests: 2, blobs: 3, size: gibibyte, fetched: 1024, sources: { upstream: 1024 } }
const progress = {
  image: name,
  done: 0,
  size: 10 * gibibyte,
  bytes: 3.75 * gibibyte,
  rate: 52.5 * 2 ** 20,
  sources: { upstream: 3 * gibibyte, peer: 0.75 * gibibyte },
}
const lines = (...values: unknown[]): string => values.map(value => `${JSON.stringify(value)}\n`).join('')

describe('ipdr prefetch', () => {
  const done = { images: [image, { ...image, fetched: 0, sources: {} }], problems: [], seconds: 1.5 }
  const failed = { images: [], problems: [{ name, reason: 'docker.io has no such image' }], seconds: 0.1 }
  const out = [
    `${name}@${digest}: 1.0 KiB fetched of 1.0 GiB (1.0 KiB from upstream)`,
    `${name}@${digest}: nothing new of 1.0 GiB`,
    '2 images are here (1.5 s)',
  ]
  const cases: [string[], string, string, { code: number; out: string; err: string }][] = [
    [
      [name],
      JSON.stringify({ names: [name] }),
      lines({ progress }, { result: done }),
      {
        code: 0,
        out: `${out.join('\n')}\n`,
        err: `${name}: 37 % of 10.0 GiB, 52.5 MiB/s (3.0 GiB from upstream, 768.0 MiB from peer), 2 min 2 s left\n`,
      },
    ],
    [
      [name, 'quay.io/a/b', '--platform', 'linux/arm64', '--platform', 'linux/amd64', '--json'],
      JSON.stringify({ names: [name, 'quay.io/a/b'], platforms: ['linux/arm64', 'linux/amd64'] }),
      lines({ progress }, { result: done }),
      { code: 0, out: lines(done), err: '' },
    ],
    [
      [name, '--json'],
      JSON.stringify({ names: [name] }),
      lines({ result: failed }),
      { code: 1, out: lines(failed), err: `${name}: docker.io has no such image\nipdr: one name was not fetched\n` },
    ],
  ]
  for (const [args, request, answer, expected] of cases) {
    it(`${args.join(' ')}: ${answer.slice(-40).trim()}`, async () => {
      await using server = await fakeServer(({ body, method, url }, res) => {
        res.writeHead(`${method} ${url} ${body}` === `POST /ipdr/v1/prefetch ${request}` ? 200 : 404).end(answer)
      })
      assert.deepEqual(await ipdr(['prefetch', ...args, '--docker-registry-host', server.host]), expected)
    })
  }

  it('says what is wrong with a name', async () => {
    await using server = await fakeServer((_request, res) => {
      res.writeHead(404).end('{"error":"repository name not known to registry: alpine is not below an upstream"}')
    })
    const { code, err } = await ipdr(['prefetch', 'alpine', '--docker-registry-host', server.host])
    assert.equal(code, 1)
    assert.match(err, /^ipdr: prefetch: .* answered 404 .*alpine is not below an upstream\n$/)
    assert.match((await ipdr(['prefetch'])).err, /missing required argument 'name'/)
  })

  it('stops at the first Ctrl+C, and closes the connection', async () => {
    let isClosed = false
    await using server = await fakeServer((_request, res) => {
      res.once('close', () => {
        isClosed = true
      })
      res.write(lines({ progress }))
    })
    const context = fakeContext({})
    const running = run(['prefetch', name, '--docker-registry-host', server.host], context)
    await until('it tells how far it is', () => context.stderr.text !== '')
    context.process.emit('SIGINT')
    assert.equal(await running, 130)
    await until('the connection is closed', () => isClosed)
  })
})
