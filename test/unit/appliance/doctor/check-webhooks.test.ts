import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { checkWebhooks } from '../../../../src/appliance/doctor/check-webhooks.ts'
import { parseConfig } from '../../../../src/config/load.ts'
import { CertificateAuthority } from '../../../fixtures/certificates.ts'
import { freePort } from '../../../fixtures/free-port.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'

const { signal } = new AbortController()

describe('the check of webhooks', () => {
  it('connects to a receiver and sends it nothing', async () => {
    let received = 0
    const server = createServer(socket => {
      socket.on('data', data => {
        received += data.length
      })
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const { webhooks } = parseConfig({ webhooks: [`ci=http://127.0.0.1:${port}/secret-path`] })
    const [found] = await checkWebhooks({ webhooks }, signal)
    server.close()
    assert.partialDeepStrictEqual(found, { check: 'webhook ci', outcome: 'ok' })
    assert.doesNotMatch(found!.found, /secret-path/)
    assert.equal(received, 0)
  })

  it('tells why a receiver can not be reached, and what to do', async () => {
    await using directory = await temporaryDirectory('check-webhooks')
    const authority = await CertificateAuthority.create(directory.path)
    const { cert, key } = await authority.issue('server')
    const server = createTlsServer({ cert: await readFile(cert), key: await readFile(key) })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const url = `https://127.0.0.1:${port}/`
    const { webhooks } = parseConfig({
      webhooks: [
        { name: 'down', url: `http://127.0.0.1:${await freePort()}/` },
        { name: 'unknown', url },
        { name: 'known', url, ca: authority.cert },
      ],
    })
    const found = await checkWebhooks({ webhooks }, signal)
    server.close()
    assert.deepEqual(
      found.map(({ check, outcome }) => [check, outcome]),
      [
        ['webhook down', 'wrong'],
        ['webhook unknown', 'wrong'],
        ['webhook known', 'ok'],
      ],
    )
    assert.match(found[0]!.found, /can't be reached: ECONNREFUSED/)
    assert.match(found[1]!.found, /certificate of .* is refused/)
    assert.ok(found.every(({ advice, outcome }) => outcome === 'ok' || advice !== undefined))
  })
})
