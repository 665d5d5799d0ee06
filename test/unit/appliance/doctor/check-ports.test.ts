import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { checkPorts } from '../../../../src/appliance/doctor/check-ports.ts'
import { parseConfig } from '../../../../src/config/load.ts'
import { freePort } from '../../../fixtures/free-port.ts'

describe('the check of ports', () => {
  it('wants them free without a server, and held with one', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const { port: held } = server.address() as AddressInfo
      const config = parseConfig({
        host: '127.0.0.1',
        port: held,
        network: 'lan',
        admin: { port: await freePort() },
        p2p: { host: '127.0.0.1', port: 0 },
      })
      const outcomes = async (isServed: boolean): Promise<string[]> =>
        (await checkPorts(config, isServed)).map(({ check, outcome }) => `${check}: ${outcome}`)
      assert.deepEqual(await outcomes(false), ['registry port: wrong', 'admin port: ok', 'IPFS port: ok'])
      assert.deepEqual(await outcomes(true), ['registry port: ok', 'admin port: warning', 'IPFS port: ok'])
      const [registry] = await checkPorts(config, false)
      assert.equal(registry!.found, `port ${held} on 127.0.0.1 is in use; choose another with --port`)
    } finally {
      server.close()
    }
  })

  it('asks for the usual port of IPFS where none is configured and no server runs', async () => {
    const host = '127.0.0.9'
    const config = parseConfig({ host, port: 0, network: 'lan', p2p: { host } })
    const holder = createServer().listen(4001, host)
    // somebody else may have it already
    await once(holder, 'listening').catch(() => {})
    try {
      const [registry, ipfs] = await checkPorts(config, false)
      assert.equal(registry!.found, 'will be any free one')
      assert.equal(`${ipfs!.check}: ${ipfs!.outcome}`, 'IPFS port: warning')
      assert.match(ipfs!.found, /^4001 can't be had, so it will be any free one: port 4001 on 127\.0\.0\.9 is in use/)
      assert.equal((await checkPorts(config, true)).length, 1)
    } finally {
      holder.close()
    }
  })

  it('tells of an address that is not of this machine', async () => {
    const [finding] = await checkPorts(parseConfig({ host: '192.0.2.1', network: 'offline' }), false)
    assert.match(finding!.found, /it is no address of this machine/)
  })
})
