import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { toCidV0 } from '../../../src/oci/cid.ts'
import { greeting, writeBusyboxContext } from '../../fixtures/busybox.ts'
import { DnsServer } from '../../fixtures/dns.ts'
import { startDocker, type Docker } from '../../fixtures/docker.ts'
import { ipdr } from '../../fixtures/ipdr.ts'
import { startKubo, type Kubo } from '../../fixtures/kubo.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../fixtures/temporary.ts'
import { until } from '../../fixtures/until.ts'

/** What the README of the original IPDR tells its users to do, command by command */
describe('the flow of the original IPDR', { timeout: 600_000 }, () => {
  let docker: Docker
  let kubo: Kubo
  let server: ServerProcess
  let scratch: TemporaryDirectory
  let env: Record<string, string>
  let root: string

  before(async () => {
    scratch = await temporaryDirectory('flow')
    docker = await startDocker()
    env = { DOCKER_HOST: docker.host }
    kubo = await startKubo()
    server = await ServerProcess.start({
      args: ['--network', 'lan', '--p2p-host', '127.0.0.1', '--p2p-port', '0', '--p2p-peers', kubo.addrs[0]!],
    })
    await writeBusyboxContext(scratch.path)
    await docker.run(['build', '--tag', 'example/helloworld', scratch.path])
    assert.match(
      await docker.run(['run', '--rm', '--network', 'none', 'example/helloworld:latest']),
      new RegExp(greeting),
    )
  })

  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await kubo?.stop()
    await docker?.[Symbol.asyncDispose]()
    await scratch?.[Symbol.asyncDispose]()
  })

  it('pushes the image to an IPFS node', async () => {
    const printed = await ipdr(['push', 'example/helloworld', '--ipfs-host', new URL(kubo.api).host], { env })
    assert.match(printed, /^Successfully pushed Docker image to IPFS:\n\/ipfs\/b[a-z2-7]{58}$/)
    root = printed.split('/').at(-1)!
    await docker.run(['rmi', '--force', 'example/helloworld'])
  })

  it('pulls it by its path, and runs it by the name that is printed', async () => {
    const printed = await ipdr(['pull', `/ipfs/${root}`, '--docker-registry-host', `localhost:${server.port}`], { env })
    const name = printed.split('\n').at(-1)!
    assert.equal(name, `localhost:${server.port}/${root}`)
    assert.match(await docker.run(['run', '--rm', '--network', 'none', name]), new RegExp(greeting))
    await docker.run(['tag', name, 'example/helloworld:latest'])
    await docker.run(['rmi', '--force', name])
  })

  it('converts the hash, and docker pulls by it', async () => {
    const converted = await ipdr(['convert', toCidV0(root)!, '--format=docker'])
    assert.match(converted, /^ciq[a-z2-7]{52}$/)
    assert.equal(await ipdr(['convert', converted, '--format=ipfs']), toCidV0(root))

    const name = `localhost:${server.port}/${converted}`
    await docker.run(['pull', name])
    assert.match(await docker.run(['run', '--rm', '--network', 'none', name]), new RegExp(greeting))
    await docker.run(['rmi', '--force', name])
  })

  it('finds the tag by a domain that leads to the CID store in IPFS', async () => {
    const name = `localhost:${server.port}/hello-world`
    await docker.run(['tag', 'example/helloworld:latest', name])
    await docker.run(['push', '--quiet', name])
    const store = join(server.dataDir, 'cids')
    const cid = await until(
      'the CID is in the store',
      async () => await readFile(join(store, 'hello-world/latest'), 'utf8').catch(() => undefined),
    )

    const directory = (await kubo.ipfs('add', '--recursive', '--quieter', store)).stdout.trim()
    await using dns = await DnsServer.start({ txt: { '_dnslink.example.test': [`dnslink=/ipfs/${directory}`] } }, 60)
    await using resolving = await ServerProcess.start({
      args: [
        '--network',
        'lan',
        '--p2p-host',
        '127.0.0.1',
        '--p2p-port',
        '0',
        '--p2p-peers',
        kubo.addrs[0]!,
        '--cid-resolver=example.test',
        '--names-dns',
        dns.address,
      ],
    })
    const dig = ['dig', 'hello-world:latest', '--docker-registry-host', `localhost:${resolving.port}`]
    assert.equal(await ipdr(dig), cid)

    await docker.run(['rmi', '--force', name])
    for (const pulled of [`localhost:${resolving.port}/${cid}`, `localhost:${resolving.port}/hello-world`]) {
      await docker.run(['pull', pulled])
      assert.match(await docker.run(['run', '--rm', '--network', 'none', pulled]), new RegExp(greeting))
    }
  })
})
