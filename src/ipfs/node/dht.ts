import { kadDHT, removePrivateAddressesMapper, removePublicAddressesMapper, type KadDHTInit } from '@libp2p/kad-dht'
import { DhtDatastore, type MayProvide } from './dht-records.ts'

type Dht = ReturnType<typeof kadDHT>

/**
 * The DHT twice, as in kubo: `/ipfs/kad/1.0.0` for public addresses and `/ipfs/lan/kad/1.0.0` for private ones. Storing
 * a block tells the DHT nothing; only a call of `helia.routing.provide()` does.
 */
export function dualDht(mayProvide?: MayProvide): Record<'wan' | 'lan', Dht> {
  return {
    wan: boundedDht(mayProvide, {
      protocol: '/ipfs/kad/1.0.0',
      peerInfoMapper: removePrivateAddressesMapper,
      logPrefix: 'libp2p:dht-wan',
      datastorePrefix: '/dht-wan',
      metricsPrefix: 'libp2p_dht_wan',
      // a network of private addresses has no peers here: answer so instead of waiting for one
      allowQueryWithZeroPeers: true,
    }),
    lan: boundedDht(mayProvide, {
      protocol: '/ipfs/lan/kad/1.0.0',
      peerInfoMapper: removePublicAddressesMapper,
      clientMode: false,
      logPrefix: 'libp2p:dht-lan',
      datastorePrefix: '/dht-lan',
      metricsPrefix: 'libp2p_dht_lan',
      allowQueryWithZeroPeers: true,
    }),
  }
}

/** A DHT whose datastore others can't fill */
function boundedDht(mayProvide: MayProvide | undefined, init: KadDHTInit & { datastorePrefix: string }): Dht {
  return components => {
    const datastore = new DhtDatastore(components, { prefix: init.datastorePrefix, mayProvide })
    // a copy would miss libp2p's other components, which are looked up when they are asked for
    return kadDHT(init)(
      new Proxy(components, { get: (target, name) => (name === 'datastore' ? datastore : Reflect.get(target, name)) }),
    )
  }
}
