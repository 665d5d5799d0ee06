import { setTimeout as sleep } from 'node:timers/promises'
import { withLibp2pLight } from '@helia/libp2p'
import { createHeliaLight } from 'helia'
import { sha512 } from 'multiformats/hashes/sha2'
import { componentLogger } from './libp2p-logger.ts'
import { libp2pOptions, publicBootstrap } from './libp2p.ts'
import { listenAddresses } from './listen.ts'
import { ListenError } from './network-errors.ts'
import type { HashBlock } from './patches/block-hashes.ts'
import { checkPreSharedKey } from './patches/bounded-cipher.ts'
import { withBoundedBitswap } from './patches/bounded-bitswap.ts'
import { noteProtocolsRarely } from './patches/lean-peer-store.ts'
import type { Patches } from './patches/patches.ts'
import { PeerCertificates, type CertificateHolder } from './peer-certificates.ts'
import { parseAddresses, PeerKeeper } from './peer-keeper.ts'
import { defaultPeerLimits, limitConnections, type PeerLimits } from './peer-limits.ts'
import type { PeerTraffic } from './peer-traffic.ts'
import { parseSwarmKey } from './swarm-key.ts'
import type { Libp2pInit, NetworkProfile } from './libp2p.ts'
import type { Logger } from '../../log.ts'
import type { Helia } from 'helia'
import type { Blockstore } from 'interface-blockstore'
import type { Libp2p } from 'libp2p'
import type { CID } from 'multiformats/cid'

/** How long each step of a stop may take; milliseconds */
const stopTimeout = 5000

export interface IpfsNodeInit {
  network: NetworkProfile
  /** Address or name of this machine to listen on: `0.0.0.0` for all of IPv4, `::` for all of IPv4 and IPv6 */
  host: string
  /**
   * TCP port of libp2p; 0 takes any free one
   *
   * @default 4001, or any free port where that is taken
   */
  port?: number | undefined
  /** Multiaddrs of peers to stay connected to */
  peers: readonly string[]
  /** Multiaddrs of peers that know others; `public` adds those of kubo */
  bootstrap: readonly string[]
  /** Multiaddrs to tell others instead of those listened on */
  announce: readonly string[]
  /** Content of a `swarm.key`; needed by `private`, refused by the others */
  swarmKey?: Uint8Array | undefined
  /** UDP port that nodes of a local network find each other by; @default 5353, that of mDNS */
  mdnsPort?: number | undefined
  /** @default {@link defaultPeerLimits} */
  limits?: PeerLimits | undefined
  /** Bytes of blocks that are sent to peers per second; 0 means unlimited @default 0 */
  maxUpload?: number | undefined
}

/** What the rules say about peers */
export interface PeerAccess {
  /** Whether a peer gets a block */
  mayFetch: (peer: string, cid: CID) => boolean | Promise<boolean>
  /** Whether every peer gets it */
  isPublic: (cid: CID) => boolean | Promise<boolean>
  /** @default this node shows no certificate and takes none */
  certificates?: CertificateHolder | undefined
}

export interface IpfsNodeComponents {
  /** Opened and closed by the caller */
  blockstore: Blockstore
  /** Opened and closed by the caller. Holds the identity of the node, which the first start makes. */
  datastore: Helia['datastore']
  log: Logger
  /** Tells which peers may fetch blocks; @default all */
  access?: PeerAccess | undefined
  /** SHA-256 of a block that a peer sends; a promise where another thread computes it; @default on the main thread */
  hashBlock?: HashBlock | undefined
  /** @default checked when the node starts */
  patches?: Patches | undefined
}

/** What a started node consists of; offline it is Helia alone */
export interface RunningNode {
  helia: Helia
  libp2p?: Libp2p
  keeper?: PeerKeeper
  certificates?: PeerCertificates | undefined
}

type Components = IpfsNodeComponents & { patches: Patches; traffic: PeerTraffic }

/** @throws NetworkConfigError, ListenError, PackageError */
export async function startNode(components: Components, init: IpfsNodeInit): Promise<RunningNode> {
  if (init.network !== 'offline') {
    return await startOnline(components, init, init.network)
  }
  const helia = createHelia(components)
  await startOrHalt({ helia }, components.log)
  return { helia }
}

async function startOnline(
  components: Components,
  init: IpfsNodeInit,
  network: Libp2pInit['network'],
): Promise<RunningNode> {
  const { access, hashBlock, log, patches, traffic } = components
  const { limits = defaultPeerLimits, swarmKey } = init
  const peers = parseAddresses(init.peers, 'a peer')
  const bootstrap = parseAddresses(
    [...(network === 'public' ? publicBootstrap : []), ...init.bootstrap],
    'a bootstrap peer',
  )
  parseAddresses(init.announce, 'an address to announce')
  // mDNS may see a peer before there is anybody to dial it; it will see it again
  let keeper: PeerKeeper | undefined
  const options = libp2pOptions(patches, {
    network,
    listen: await listenAddresses(init.host, init.port, log),
    announce: init.announce,
    swarmKey,
    maxConnections: limits.connections,
    mayProvide: access?.isPublic,
    mdnsPort: init.mdnsPort,
    logger: componentLogger(log),
    onPeer: peer => {
      keeper?.found(peer)
    },
  })
  if (swarmKey !== undefined) {
    await checkPreSharedKey(patches, { psk: parseSwarmKey(swarmKey) })
  }
  const uploadRate = init.maxUpload === 0 ? undefined : init.maxUpload
  const bitswap = { ...limits, mayFetch: access?.mayFetch, hashBlock, uploadRate, traffic }
  const helia = withBoundedBitswap(withLibp2pLight(createHelia(components), options), patches, bitswap)
  await startOrHalt({ helia }, log)
  const { libp2p } = helia
  limitConnections(libp2p, limits.connectionsPerPeer)
  noteProtocolsRarely(libp2p, patches)
  const certificates = access?.certificates && new PeerCertificates({ libp2p, holder: access.certificates, log })
  await certificates?.start()
  keeper = new PeerKeeper({ libp2p, log }, { peers, bootstrap })
  keeper.start()
  return { helia, libp2p, keeper, certificates }
}

function createHelia({ blockstore, datastore, log }: Components): Helia {
  return createHeliaLight({ blockstore, datastore, logger: componentLogger(log), hashers: [sha512] })
}

async function startOrHalt(running: RunningNode, log: Logger): Promise<void> {
  try {
    await running.helia.start()
  } catch (err) {
    await haltNode(running, log)
    throw err instanceof Error && err.name === 'UnsupportedListenAddressesError'
      ? new ListenError('the IPFS node cannot listen on its addresses', { cause: err })
      : err
  }
}

/** Never throws; a step that takes too long is left behind */
export async function haltNode({ certificates, helia, libp2p, keeper }: RunningNode, log: Logger): Promise<void> {
  if (certificates !== undefined) {
    await finishStep('certificates of peers', certificates.stop(), log)
  }
  if (keeper !== undefined) {
    await finishStep('dialling of peers', keeper.stop(), log)
  }
  const stopped = helia.stop()
  if (!(await finishStep('network', stopped, log))) {
    for (const connection of libp2p?.getConnections() ?? []) {
      connection.abort(new Error('the IPFS node stops'))
    }
    await finishStep('network', stopped, log)
  }
}

/**
 * Waits for one step of a stop, but not for ever; a step that fails counts as ended
 *
 * @returns whether it has ended
 */
export async function finishStep(step: string, promise: Promise<unknown>, log: Logger): Promise<boolean> {
  const controller = new AbortController()
  try {
    return await Promise.race([
      promise.then(
        () => true,
        (err: unknown) => {
          log.warn('a step of stopping the IPFS node failed', { step, error: String(err) })
          return true
        },
      ),
      sleep(stopTimeout, false, { signal: controller.signal }),
    ])
  } finally {
    controller.abort()
  }
}
