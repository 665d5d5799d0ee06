import assert from 'node:assert/strict'
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { request, type RequestOptions } from 'node:https'
import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { greeting, writeBusyboxContext } from '../../fixtures/busybox.ts'
import { CertificateAuthority } from '../../fixtures/certificates.ts'
import { startDocker, type Docker } from '../../fixtures/docker.ts'
import { emptyJson } from '../../fixtures/manifests.ts'
import { copyEtc } from '../../fixtures/etc.ts'
import { randomBytes, sha256 } from '../../fixtures/images.ts'
import { startNginx, type Nginx } from '../../fixtures/nginx.ts'
import { run } from '../../fixtures/run.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { installedTool } from '../../fixtures/tools.ts'

const mebibyte = 1024 * 1024
const large = 300 * mebibyte

interface Reply {
  status: number | undefined
  headers: IncomingHttpHeaders
  body: Buffer
}

describe('behind nginx, which ends TLS', { timeout: 600_000 }, () => {
  const resources = new AsyncDisposableStack()
  let directory: string
  let authority: CertificateAuthority
  let server: ServerProcess
  let docker: Docker
  const proxies: Record<string, Nginx> = {}
  let ca: Buffer

  before(async () => {
    directory = resources.use(await temporaryDirectory('proxy')).path
    authority = await CertificateAuthority.create(directory)
    ca = await readFile(authority.cert)
    server = resources.use(await ServerProcess.start())
    const tls = await authority.issue('nginx')
    for (const config of ['nginx.conf', 'nginx-prefix.conf']) {
      proxies[config] = resources.use(
        await startNginx({ directory: join(directory, config), config, tls, registry: server.host }),
      )
    }
    const etc = await copyEtc(directory, { 'registry.example': '127.0.0.1' })
    docker = resources.use(await startDocker({ etc }))
    for (const { port } of Object.values(proxies)) {
      const trusted = join(etc, `docker/certs.d/registry.example:${port}`)
      await mkdir(trusted, { recursive: true })
      await copyFile(authority.cert, join(trusted, 'ca.crt'))
    }
    const context = join(directory, 'context')
    await writeBusyboxContext(context)
    await docker.run(['build', '--tag', 'helloworld', context])
    // a layer that is many times what a proxy buffers
    await run(installedTool('dd'), [
      'if=/dev/urandom',
      `of=${join(context, 'large')}`,
      'bs=1M',
      `count=${large / mebibyte}`,
      'status=none',
    ])
    await run(installedTool('sh'), ['-c', 'printf "FROM helloworld\\nCOPY large /large\\n" > Dockerfile'], {
      cwd: context,
    })
    await docker.run(['build', '--tag', 'large', context])
  })

  after(async () => {
    await resources.disposeAsync()
  })

  async function ask(
    config: string,
    method: string,
    path: string,
    body?: Uint8Array,
    options: RequestOptions = {},
  ): Promise<Reply> {
    const req = request({ method, path, host: 'localhost', port: proxies[config]!.port, ca, agent: false, ...options })
    req.end(body)
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    return { status: res.statusCode, headers: res.headers, body: await buffer(res) }
  }

  for (const { config, name, base } of [
    { config: 'nginx.conf', name: 'app', base: '/v2' },
    { config: 'nginx-prefix.conf', name: 'registry/prefixed', base: '/v2/registry' },
    { config: 'nginx-prefix.conf', name: undefined, base: '/registry/v2' },
  ]) {
    describe(`${config}, below ${base}/`, () => {
      if (name !== undefined) {
        it('docker pushes, pulls and runs', async () => {
          const image = `registry.example:${proxies[config]!.port}/${name}`
          await docker.run(['tag', 'large', image])
          await docker.run(['push', image])
          await docker.run(['image', 'rm', image])
          await docker.run(['pull', image])
          assert.equal(await docker.run(['run', '--rm', '--network', 'none', image]), greeting)
          const another = `${image}-copy`
          await docker.run(['tag', image, another])
          assert.match(await docker.run(['push', another]), /: Mounted from /)
          assert.doesNotMatch(await proxies[config]!.errors(), /buffered to a temporary file/)
        })
      }

      it('an upload in chunks follows Location', async () => {
        const bytes = randomBytes(3 * mebibyte, base)
        const digest = sha256(bytes)
        let { status, headers } = await ask(config, 'POST', `${base}/chunks/blobs/uploads/`)
        assert.equal(status, 202)
        for (let start = 0; start < bytes.length; start += mebibyte) {
          assert.match(String(headers.location), new RegExp(`^${base}/chunks/blobs/uploads/[^/]+$`))
          const chunk = bytes.subarray(start, start + mebibyte)
          ;({ status, headers } = await ask(config, 'PATCH', String(headers.location), chunk, {
            headers: { 'Content-Range': `${start}-${start + chunk.length - 1}` },
          }))
          assert.equal(status, 202)
        }
        ;({ status, headers } = await ask(config, 'PUT', `${headers.location}?digest=${digest}`))
        assert.deepEqual([status, headers.location], [201, `${base}/chunks/blobs/${digest}`])
        const { body } = await ask(config, 'GET', String(headers.location))
        assert.equal(sha256(body), digest)
      })

      it('a listing in pages follows Link', async () => {
        for (const tag of ['a', 'b', 'c']) {
          await pushManifest(config, `${base}/pages`, tag)
        }
        const tags: string[] = []
        let next: string | undefined = `${base}/pages/tags/list?n=2`
        while (next !== undefined) {
          const { status, headers, body } = await ask(config, 'GET', next)
          assert.equal(status, 200)
          tags.push(...JSON.parse(String(body)).tags)
          next = /^<([^>]+)>; rel="next"$/.exec(String(headers.link ?? ''))?.[1]
        }
        assert.deepEqual(tags, ['a', 'b', 'c'])
      })
    })
  }

  it('what the registry says to this machine alone is not for the clients of the proxy', async () => {
    for (const config of Object.keys(proxies)) {
      for (const path of [
        '/ipdr/v1/peers',
        '/metrics',
        '/registry/ipdr/v1/peers',
        '/v2/../ipdr/v1/peers',
        '/v2/registry/../../ipdr/v1/peers',
      ]) {
        assert.equal((await ask(config, 'GET', path)).status, 404, path)
      }
    }
  })

  it('headers that a client sends about another host change nothing', async () => {
    const headers = {
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-Prefix': '/evil',
      Forwarded: 'host=evil.example',
    }
    const { headers: answered } = await ask('nginx.conf', 'POST', '/v2/app/blobs/uploads/', undefined, { headers })
    assert.match(String(answered.location), /^\/v2\/app\/blobs\/uploads\//)
  })

  async function pushManifest(config: string, repository: string, tag: string): Promise<void> {
    const empty = sha256(emptyJson)
    await ask(config, 'POST', `${repository}/blobs/uploads/?digest=${empty}`, emptyJson)
    const descriptor = { mediaType: 'application/vnd.oci.empty.v1+json', digest: empty, size: emptyJson.byteLength }
    const type = 'application/vnd.oci.image.manifest.v1+json'
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: type,
        artifactType: 'application/test',
        config: descriptor,
        layers: [descriptor],
      }),
    )
    const { status, headers } = await ask(config, 'PUT', `${repository}/manifests/${tag}`, manifest, {
      headers: { 'Content-Type': type },
    })
    assert.deepEqual([status, headers.location], [201, `${repository}/manifests/${sha256(manifest)}`])
  }
})
