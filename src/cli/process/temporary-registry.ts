import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConfig } from '../../config/load.ts'
import type { Logger } from '../../log.ts'

const silent: Logger = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {}, child: () => silent }

/**
 * Starts a registry in this process, on a loopback address and without peers; its data is deleted when it is disposed
 * of
 */
export async function startTemporaryRegistry(): Promise<{ host: string } & AsyncDisposable> {
  const { Appliance } = await import('../../appliance/appliance.ts')
  const directory = await mkdtemp(join(tmpdir(), 'ipdr-'))
  const config = parseConfig({
    host: '127.0.0.1',
    port: 0,
    dataDir: join(directory, 'data'),
    network: 'offline',
    storage: { fsync: false },
  })
  const appliance = new Appliance({ log: silent }, config)
  const dispose = async (): Promise<void> => {
    await appliance.stop()
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await appliance.start()
  } catch (err) {
    await dispose()
    throw err
  }
  return { host: `127.0.0.1:${appliance.address.port}`, [Symbol.asyncDispose]: dispose }
}
