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

  it('tells of an address that is not of this machine', async () => {
    const [finding] = await checkPorts(parseConfig({ host: '192.0.2.1', network: 'offline' }), false)
    assert.match(finding!.found, /it is no address of this machine/)
  })
})
