import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { PassThrough } from 'node:stream'
import { afterEach, describe, it } from 'node:test'
import { DockerEngine } from '../../../../src/client/engine/docker-engine.ts'
import { fakeServer, type FakeServer, type SeenRequest } from '../../../fixtures/fake-server.ts'

const before = process.env['DOCKER_HOST']
afterEach(() => {
  if (before === undefined) {
    delete process.env['DOCKER_HOST']
  } else {
    process.env['DOCKER_HOST'] = before
  }
})

async function engine(
  answer: (request: SeenRequest, res: ServerResponse) => void,
): Promise<{ server: FakeServer; docker: DockerEngine }> {
  const server = await fakeServer(answer)
  process.env['DOCKER_HOST'] = `tcp://${server.host}`
  return { server, docker: await DockerEngine.open() }
}

function archive(): PassThrough {
  const stream = new PassThrough()
  stream.end('archive')
  return stream
}

describe('a Docker Engine that is given an image', () => {
  it('has it once it says so', async () => {
    const { docker, server } = await engine((_, res) => {
      res.end('{"stream":"Loaded image: x\\n"}\r\n')
    })
    await using _ = server
    await docker.load(archive())
    assert.deepEqual(
      server.requests.map(({ body, method, url }) => [method, url.split('?')[0], body]),
      [['POST', '/images/load', 'archive']],
    )
  })

  for (const [what, status, body, error] of [
    [
      'an error in what looks like success',
      200,
      '{"stream":"Loading"}\n{"errorDetail":{"message":"no space left"},"error":"no space left"}\n',
      /did not load the image: no space left/,
    ],
    ['nothing', 200, '', /did not confirm that it loaded the image/],
    ['an error', 500, '{"message":"broken"}', /answered 500: server error - broken/],
  ] as const) {
    it(`has not got it where it says ${what}`, async () => {
      const { docker, server } = await engine((_, res) => {
        res.writeHead(status, { 'Content-Type': 'application/json' }).end(body)
      })
      await using _ = server
      await assert.rejects(docker.load(archive()), { name: 'ClientError', message: error })
    })
  }

  it('has not got it where the archive ends too early', async () => {
    const { docker, server } = await engine((_, res) => {
      res.end('{"stream":"Loaded image: x\\n"}')
    })
    await using _ = server
    const stream = new PassThrough()
    stream.write('arch')
    const loaded = docker.load(stream)
    setImmediate(() => {
      stream.destroy(new Error('cut short'))
    })
    await assert.rejects(loaded, /cut short/)
  })

  it('is left alone once the signal is aborted', async () => {
    const { docker, server } = await engine(() => {})
    await using _ = server
    await assert.rejects(docker.load(new PassThrough(), { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' })
  })
})

describe('a Docker Engine that is asked for an image', () => {
  it('may not have it', async () => {
    const { docker, server } = await engine((_, res) => {
      res.writeHead(404, { 'Content-Type': 'application/json' }).end('{"message":"No such image"}')
    })
    await using _ = server
    await assert.rejects(docker.openSource('example/x'), {
      name: 'ClientError',
      message: 'the Docker Engine has no image example/x',
    })
  })

  it('may not be there', async () => {
    const { docker, server } = await engine(() => {})
    await server[Symbol.asyncDispose]()
    await assert.rejects(docker.platform(), {
      name: 'ClientError',
      message: /^no Docker Engine answers: .*ECONNREFUSED/,
    })
  })
})
