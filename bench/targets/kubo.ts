import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../test/fixtures/run.ts'
import { projectDirectory } from '../../test/fixtures/tools.ts'
import { freePort } from '../../test/fixtures/free-port.ts'
import { startProcess } from './process.ts'
import type { Find } from './target.ts'

interface DatastoreSpec {
  mounts: Array<{ sync?: boolean }>
}

/**
 * kubo as `scripts/test-tools kubo` builds it: TCP on loopback, no discovery, the profile whose blocks are like ours
 */
export const findKubo: Find = async ({ fsync }) => {
  const command = join(projectDirectory, 'test/tools/bin/ipfs')
  if (!existsSync(command)) {
    return undefined
  }
  return {
    name: 'kubo',
    about: `${await run(command, ['version', '--number'])}; flatfs ${fsync ? "with sync on (kubo's own default is off): fsync of each file and directory" : 'with sync off, its default'}`,
    reference: false,
    start: async dataDir => {
      const env = { PATH: process.env['PATH'], HOME: dataDir, IPFS_PATH: dataDir, IPFS_TELEMETRY: 'off' }
      const port = await freePort()
      await mkdir(dataDir, { recursive: true })
      if (!existsSync(join(dataDir, 'config'))) {
        await run(command, ['init', '--profile=test,unixfs-v1-2025'], { env })
      }
      await configure(join(dataDir, 'config'), port, fsync)
      return await startProcess({
        name: 'kubo',
        dataDir,
        port,
        command,
        args: () => ['daemon', '--migrate=false'],
        env: () => env,
        ready: '/api/v0/id',
        method: 'POST',
      })
    },
  }
}

async function configure(path: string, apiPort: number, fsync: boolean): Promise<void> {
  const config = JSON.parse(await readFile(path, 'utf8')) as Record<string, Record<string, unknown>>
  const spec = config['Datastore']!['Spec'] as DatastoreSpec
  for (const mount of spec.mounts) {
    if (mount.sync !== undefined) {
      mount.sync = fsync
    }
  }
  Object.assign(config, {
    Addresses: { API: `/ip4/127.0.0.1/tcp/${apiPort}`, Gateway: [], Swarm: ['/ip4/127.0.0.1/tcp/0'] },
    AutoConf: { Enabled: false },
    AutoTLS: { Enabled: false },
    Bootstrap: [],
    DNS: { Resolvers: {} },
    Discovery: { MDNS: { Enabled: false } },
    Ipns: { ...config['Ipns'], DelegatedPublishers: [] },
    Routing: { ...config['Routing'], Type: 'dht', DelegatedRouters: [] },
    Swarm: {
      ...config['Swarm'],
      DisableNatPortMap: true,
      Transports: { Network: { QUIC: false, WebTransport: false, WebRTCDirect: false, Websocket: false } },
    },
  })
  await writeFile(path, JSON.stringify(config, undefined, 2))
}
