/** An appliance that mirrors real registries: by log-in and TLS, by tokens, and itself by mistake */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { TestAppliance } from '../fixtures/appliance.ts'
import { initAccess } from '../fixtures/access.ts'
import { CertificateAuthority } from '../fixtures/certificates.ts'
import { Distribution } from '../fixtures/distribution.ts'
import { freePort } from '../fixtures/free-port.ts'
import { makeImage, randomBytes, writeLayout, type Image } from '../fixtures/images.ts'
import { run } from '../fixtures/run.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { builtTool } from '../fixtures/tools.ts'

const mebibyte = 1024 * 1024

interface Answer {
  status: number
  body: Buffer
  text: string
}

async function get(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init)
  const body = Buffer.from(await response.arrayBuffer())
  return { status: response.status, body, text: body.toString() }
}

/** Pushes an image by crane, logged in if there is a user */
async function push(directory: string, image: Image, host: string, user?: [string, string]): Promise<void> {
  const layout = join(directory, 'layout')
  await writeLayout(layout, image)
  const env = { ...process.env, DOCKER_CONFIG: join(directory, 'docker') }
  if (user !== undefined) {
    await run(builtTool('crane'), ['auth', 'login', host, '-u', user[0], '-p', user[1], '--insecure'], { env })
  }
  await run(builtTool('crane'), ['push', layout, `${host}/team/app:v1`, '--insecure'], { env })
}

async function assertPulls(appliance: TestAppliance, upstream: string, image: Image): Promise<void> {
  for (const [digest, bytes] of image.content) {
    const kind = digest === image.descriptor.digest ? 'manifests' : 'blobs'
    for (const url of [`/v2/${upstream}/team/app/${kind}/${digest}`, `/v2/team/app/${kind}/${digest}?ns=${upstream}`]) {
      const { body, status, text } = await get(`${appliance.url}${url}`)
      assert.equal(status, 200, text.slice(0, 500))
      assert.deepEqual(body, Buffer.from(bytes))
    }
  }
  const byTag = await get(`${appliance.url}/v2/${upstream}/team/app/manifests/v1`)
  assert.deepEqual(byTag.body, Buffer.from(image.content.get(image.descriptor.digest)!))
}

describe('an appliance mirrors', () => {
  it('a distribution with a log-in and a certificate of its own authority', async () => {
    await using directory = await temporaryDirectory()
    const authority = await CertificateAuthority.create(directory.path)
    const tls = await authority.issue('distribution')
    const users = { ann: 'ann-secret' }
    await using registry = await Distribution.start({ directory: directory.path, tls, users })
    const image = makeImage([{ big: randomBytes(2 * mebibyte, 'big') }, { small: randomBytes(1000, 'small') }])
    await push(directory.path, image, `127.0.0.1:${registry.port}`, ['ann', 'ann-secret'])
    const credentials = join(directory.path, 'log-in')
    await writeFile(credentials, 'ann:ann-secret\n')
    await writeFile(join(directory.path, 'wrong'), 'ann:not-this-one\n')
    const listed = { url: registry.url, ca: authority.cert, credentials }
    await using appliance = await TestAppliance.start(join(directory.path, 'data'), {
      upstreams: {
        'up.test': listed,
        'docker.test': { ...listed, credentials: join(directory.path, 'docker/config.json') },
        'wrong.test': { ...listed, credentials: join(directory.path, 'wrong') },
        'stranger.test': { url: registry.url, credentials },
        'part.test': { ...listed, repositories: ['other/*'] },
      },
    })
    await assertPulls(appliance, 'up.test', image)
    await assertPulls(appliance, 'docker.test', image)
    for (const [upstream, status, message] of [
      ['wrong.test', 403, /wrong.test denies access: it answered 401/],
      ['stranger.test', 503, /stranger.test does not answer: .*certificate/],
      ['part.test', 404, /the configuration leaves this repository out/],
      ['unlisted.test', 404, /MANIFEST_UNKNOWN|NAME_UNKNOWN/],
    ] as const) {
      const answer = await get(`${appliance.url}/v2/${upstream}/team/app/manifests/v1`)
      assert.equal(answer.status, status, answer.text)
      assert.match(answer.text, message)
      assert.doesNotMatch(answer.text, /secret|not-this-one|\/data/)
    }
    assert.doesNotMatch(appliance.log, /ann-secret|not-this-one/)
  })

  it('another appliance with rules, whose tokens it gets and keeps', async () => {
    await using directory = await temporaryDirectory()
    const upstreamData = join(directory.path, 'upstream')
    const password = await initAccess('private', upstreamData)
    await using upstream = await TestAppliance.start(upstreamData)
    const image = makeImage([{ layer: randomBytes(mebibyte, 'layer') }])
    await push(directory.path, image, new URL(upstream.url).host, ['admin', password])
    const credentials = join(directory.path, 'log-in')
    await writeFile(credentials, `admin:${password}`)
    await using appliance = await TestAppliance.start(join(directory.path, 'data'), {
      upstreams: [
        { name: 'up.test', url: upstream.url, credentials },
        { name: 'stranger.test', url: upstream.url },
      ],
      admin: { metrics: 'open' },
    })
    await assertPulls(appliance, 'up.test', image)
    const stranger = await get(`${appliance.url}/v2/stranger.test/team/app/manifests/v1`)
    assert.equal(stranger.status, 403, stranger.text)
    const metrics = await get(`${appliance.url}/metrics`)
    const challenged = /^ipdr_upstream_requests_total\{upstream="up.test",status="401"\} (\d+)$/m.exec(metrics.text)
    assert.equal(challenged?.[1], '1')
    assert.match(metrics.text, /^ipdr_upstream_bytes_total\{upstream="up.test"\} \d{7}/m)
  })

  it('not itself: a request that comes back is refused', async () => {
    await using directory = await temporaryDirectory()
    const port = await freePort()
    await using appliance = await TestAppliance.start(directory.path, {
      port,
      upstreams: [`up.test=http://127.0.0.1:${port}`],
      registryMirror: 'up.test',
    })
    const answer = await get(`${appliance.url}/v2/team/app/manifests/v1`)
    assert.equal(answer.status, 502)
    assert.match(answer.text, /up.test leads back to a registry that has passed on the same request: it answered 508/)
  })
})
