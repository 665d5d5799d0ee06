import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile, rename, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { connect } from 'node:tls'
import { CertificateAuthority } from '../../fixtures/certificates.ts'
import { randomBytes } from '../../fixtures/images.ts'
import { runBinary, run, tryRun } from '../../fixtures/run.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../fixtures/temporary.ts'
import { builtTool, installedTool } from '../../fixtures/tools.ts'
import { until } from '../../fixtures/until.ts'

const mebibyte = 1024 * 1024

describe('TLS', { timeout: 600_000 }, () => {
  let directory: TemporaryDirectory
  let authority: CertificateAuthority
  let server: ServerProcess
  let blob: string

  before(async () => {
    directory = await temporaryDirectory('tls')
    authority = await CertificateAuthority.create(directory.path)
    server = await ServerProcess.start({ tls: await authority.issue('server') })
    const file = join(directory.path, 'file')
    await writeFile(file, randomBytes(4 * mebibyte, 'tls'))
    await run(installedTool('tar'), ['--create', '--file', `${file}.tar`, '--directory', directory.path, 'file'])
    await crane(['append', '--oci-empty-base', '--new_layer', `${file}.tar`, '--new_tag', `${server.host}/tls/app:v1`])
    blob = JSON.parse(await crane(['manifest', `${server.host}/tls/app:v1`])).layers[0].digest
  })

  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await directory?.[Symbol.asyncDispose]()
  })

  async function crane(args: readonly string[]): Promise<string> {
    return await run(builtTool('crane'), args, { env: { SSL_CERT_FILE: authority.cert } })
  }

  /** Whose certificate a new connection gets */
  async function certificateName(): Promise<string> {
    const socket = connect({
      port: server.port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: await readFile(authority.cert),
    })
    await once(socket, 'secureConnect')
    const { subject } = socket.getPeerCertificate()
    socket.destroy()
    return String(subject.CN)
  }

  /** Moves a new certificate over the one that the server uses, the key after the certificate */
  async function replaceCertificate(name: string): Promise<void> {
    const { cert, key } = await authority.issue(name)
    await rename(cert, join(directory.path, 'server.crt'))
    await rename(key, join(directory.path, 'server.key'))
  }

  /** Slowly, so that it is still under way when the certificate is replaced */
  async function pullByCurl(version: string): Promise<void> {
    const bytes = await runBinary(installedTool('curl'), [
      '--silent',
      '--show-error',
      '--fail',
      version,
      '--cacert',
      authority.cert,
      '--limit-rate',
      '1M',
      `https://localhost:${server.port}/v2/tls/app/blobs/${blob}`,
    ])
    assert.equal(await digestOf([bytes]), blob)
  }

  /** A pull that has begun, and goes on once it is read */
  async function beginPull(): Promise<IncomingMessage> {
    const request = get(`https://localhost:${server.port}/v2/tls/app/blobs/${blob}`, {
      ca: await readFile(authority.cert),
      agent: false,
    })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return response
  }

  it('takes the flags of the original IPDR, and no version before 1.2', async () => {
    const { cert, key } = await authority.issue('older')
    await using older = await ServerProcess.start({ args: ['--tlsCertPath', cert, `--tlsKeyPath=${key}`] })
    const sClient = async (version: string): Promise<number | null> =>
      (await tryRun('openssl', ['s_client', '-connect', older.host, version, '-cipher', 'DEFAULT@SECLEVEL=0'])).code
    assert.equal(await sClient('-tls1_2'), 0)
    assert.equal(await sClient('-tls1_3'), 0)
    assert.notEqual(await sClient('-tls1_1'), 0)
  })

  it('speaks HTTP/2 or HTTP/1.1, as the client asks', async () => {
    for (const [flag, version] of [
      ['--http2', '2'],
      ['--http1.1', '1.1'],
    ] as const) {
      const args = [
        '--silent',
        '--cacert',
        authority.cert,
        '--output',
        join(directory.path, 'out'),
        flag,
        '--write-out',
        '%{http_version} %{response_code}',
        `https://localhost:${server.port}/v2/`,
      ]
      assert.equal(await run(installedTool('curl'), args), `${version} 200`)
    }
  })

  it('gets a new certificate while 50 pulls are under way, and none of them fails', async () => {
    assert.equal(await certificateName(), 'server')
    let ended = 0
    const pulls = Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        if (i < 10) {
          await crane(['pull', `${server.host}/tls/app:v1`, join(directory.path, `${i}.tar`)])
        } else {
          await pullByCurl(i % 2 === 0 ? '--http2' : '--http1.1')
        }
        ended++
      }),
    )
    const held = await Promise.all([beginPull(), beginPull()])
    await replaceCertificate('by signal')
    server.signal('SIGHUP')
    await until('new connections get it', async () => (await certificateName()) === 'by signal')
    assert.ok(ended < 50, 'pulls are under way')
    await replaceCertificate('by files')
    await until('new connections get it', async () => (await certificateName()) === 'by files', 20_000)
    for (const response of held) {
      assert.equal(await digestOf(response), blob)
    }
    await pulls
    assert.equal(ended, 50)
  })

  it('SIGHUP does nothing to a server without it', async () => {
    await using plain = await ServerProcess.start()
    plain.signal('SIGHUP')
    await until('it is noticed', () => plain.log.includes('reloading'))
    assert.equal((await fetch(`${plain.url}/v2/`)).status, 200)
  })
})

async function digestOf(body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of body) {
    hash.update(chunk)
  }
  return `sha256:${hash.digest('hex')}`
}
