/**
 * `ipdr doctor`: what an operator can look at before anything else, one small file for each kind of check. Nothing is
 * changed but a file that is gone again, nobody is asked whom the configuration does not name, and every wait ends.
 */
import { resolve } from 'node:path'
import type { Config } from '../../config/schema.ts'
import type { Peer } from '../../ipfs/node/peer.ts'
import { createLog } from '../../log.ts'
import { bounded } from './bounded.ts'
import { checkCertificates } from './check-certificates.ts'
import { checkClock } from './check-clock.ts'
import { checkDirectory } from './check-directory.ts'
import { checkDisk, fileSystemOf } from './check-disk.ts'
import { checkFsync } from './check-fsync.ts'
import { checkMemory, checkOpenFiles } from './check-limits.ts'
import { checkNames, namesIn, systemNames } from './check-names.ts'
import { checkNode } from './check-node.ts'
import { checkPeers } from './check-peers.ts'
import { checkPorts } from './check-ports.ts'
import { checkRules } from './check-rules.ts'
import { checkUpstreams } from './check-upstreams.ts'
import { checkWebhooks } from './check-webhooks.ts'
import { type Finding, wrong } from './finding.ts'
import { holderOf } from './holder.ts'

/** What a server on the data directory told; undefined where there is none */
export interface ServerAnswer {
  /** Milliseconds by which its clock is ahead of ours */
  skew?: number | undefined
  peers?: readonly Peer[] | undefined
}

const second = 1000
/** For one check */
const limit = 20 * second

/** All checks that need a configuration, in the order in which they are shown */
export async function diagnose(
  config: Config,
  server: ServerAnswer | undefined,
  signal: AbortSignal,
): Promise<Finding[]> {
  const dataDir = resolve(config.dataDir)
  const isServed = server !== undefined
  const log = createLog({ level: 'error', format: 'human' })
  const run = async (check: string, work: () => Promise<Finding[]>): Promise<Finding[]> => {
    try {
      return await bounded(work, { limit, signal })
    } catch (err) {
      signal.throwIfAborted()
      return [wrong(check, `can't be checked: ${(err as Error).message}`, 'Look at whether the disk and DNS answer.')]
    }
  }
  const upstreams = checkUpstreams(config, signal)
  const found = await Promise.all([
    run('ports', async () => await checkPorts(config, isServed)),
    run('data directory', async () => await checkDirectory(dataDir, isServed)),
    run('file system', async () => checkDisk(await fileSystemOf(dataDir), config.storage)),
    run('fsync', async () => [await checkFsync(dataDir, config.storage.fsync)]),
    run('certificate', async () => await checkCertificates(config, log)),
    run('access rules', async () => await checkRules(dataDir, config, log)),
    run('DNS', async () => await checkNames(namesIn(config), systemNames(config), signal)),
    run('upstreams', async () => (await upstreams).findings),
    run('webhooks', async () => await checkWebhooks(config, signal)),
    run('clock', async () => {
      const own = server?.skew === undefined ? [] : [{ whose: 'the server', skew: server.skew }]
      return checkClock([...own, ...(await upstreams).clocks])
    }),
    run('peers', async () => [checkPeers(config, server?.peers)]),
    run('open files', async () => [await checkOpenFiles(config, isServed ? await holderOf(dataDir) : undefined)]),
    run('memory', async () => [checkMemory(config)]),
  ])
  return found.flat()
}

/** The version of Node, for which no configuration is needed */
export function diagnoseNode(): Finding {
  return checkNode(process.versions.node)
}
