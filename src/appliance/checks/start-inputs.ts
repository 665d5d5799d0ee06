import { readFile } from 'node:fs/promises'
import { readAdminToken } from '../directory/admin-token.ts'
import { checkPackages } from './check-packages.ts'
import { checkPort, listenersOf } from './check-port.ts'
import { checkWritable } from '../directory/check-writable.ts'
import { reasonOf } from '../../config/entries.ts'
import type { Config } from '../../config/schema.ts'
import { Certificate } from '../../http/certificate.ts'
import { parseHttpAddress } from '../../ipfs/retrieval/http-address.ts'
import type { Patches } from '../../ipfs/node/patches/patches.ts'
import { parseSwarmKey } from '../../ipfs/node/swarm-key.ts'
import type { Logger } from '../../log.ts'
import { StartError } from '../directory/start-error.ts'
import { readSignatureRules, type SignatureInputs } from './signature-inputs.ts'
import { readUpstreams, type UpstreamInputs } from './upstream-inputs.ts'
import { readWebhooks, type WebhookInputs } from './webhook-inputs.ts'

/** What is read and checked before the start; each is undefined where the configuration names none */
export interface StartInputs {
  patches: Patches
  certificate: Certificate | undefined
  swarmKey: Uint8Array | undefined
  /** RPC API of a kubo that pins the same images */
  kubo: URL | undefined
  /** Other registries to mirror */
  upstreams: UpstreamInputs | undefined
  /** What stores events and sends them to webhooks */
  webhooks: WebhookInputs | undefined
  /** What verifies signatures of images */
  signatures: SignatureInputs | undefined
}

/**
 * Finds all that can be found wrong before anything changes on disk: checks the packages, reads the files that the
 * configuration names, and tries the ports and directories that it wants
 *
 * @throws StartError, CertificateError, PackageError
 */
export async function readStartInputs({ log }: { log: Logger }, config: Config): Promise<StartInputs> {
  const {
    p2p,
    admin,
    cidStore,
    tls: { certPath, keyPath, clientCa: clientCaPath },
  } = config
  const inputs = {
    patches: checkPackages({ log }),
    certificate:
      certPath === undefined || keyPath === undefined
        ? undefined
        : await Certificate.open({ log: log.child({ module: 'tls' }) }, { certPath, keyPath, clientCaPath }),
    swarmKey: p2p.swarmKey === undefined ? undefined : await readSwarmKey(p2p.swarmKey),
    kubo: config.ipfsHost === undefined ? undefined : parseKubo(config.ipfsHost),
    upstreams: await readUpstreams(config),
    webhooks: await readWebhooks(config),
    signatures: await readSignatureRules(config),
  }
  if (admin.tokenFile !== undefined) {
    await checkAdminToken(admin.tokenFile)
  }
  for (const listener of listenersOf(config)) {
    await checkPort(listener)
  }
  if (cidStore !== undefined) {
    await checkWritable(`CID store ${cidStore}`, cidStore)
  }
  return inputs
}

async function readSwarmKey(path: string): Promise<Uint8Array> {
  let content: Uint8Array
  try {
    content = await readFile(path)
  } catch (err) {
    throw new StartError(`swarm key ${path} can't be read: ${reasonOf(err)}`, { cause: err })
  }
  try {
    return parseSwarmKey(content)
  } catch (err) {
    throw new StartError(`${path} is not a swarm key: ${(err as Error).message}`, { cause: err })
  }
}

async function checkAdminToken(path: string): Promise<void> {
  try {
    await readAdminToken(path)
  } catch (err) {
    const isContent = (err as NodeJS.ErrnoException).code === undefined
    const problem = isContent ? `can't be used: ${(err as Error).message}` : `can't be read: ${reasonOf(err)}`
    throw new StartError(`admin token ${path} ${problem}`, { cause: err })
  }
}

function parseKubo(address: string): URL {
  try {
    return parseHttpAddress(address)
  } catch (err) {
    throw new StartError(`ipfsHost: ${(err as Error).message}`, { cause: err })
  }
}
