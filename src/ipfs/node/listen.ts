import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { createServer, isIP, isIPv6 } from 'node:net'
import { ListenError } from './network-errors.ts'
import type { Logger } from '../../log.ts'

/** The port that IPFS nodes listen on by default */
export const usualPort = 4001

/**
 * The multiaddrs to listen on. Without `port` it is 4001, or any free port where that is taken; a port that was asked
 * for has to be free.
 *
 * @throws ListenError
 */
export async function listenAddresses(host: string, port: number | undefined, log: Logger): Promise<string[]> {
  const addresses = await resolve(host)
  const chosen = await choosePort(addresses, port, log)

  return addresses.map(address => `/${isIPv6(address) ? 'ip6' : 'ip4'}/${address}/tcp/${chosen}`)
}

async function resolve(host: string): Promise<string[]> {
  const name = host.replace(/^\[(.*)\]$/, '$1')

  if (name === '::') {
    return ['0.0.0.0', '::']
  }

  if (isIP(name) !== 0) {
    return [name]
  }

  try {
    return [(await lookup(name)).address]
  } catch (err) {
    throw new ListenError(`the IPFS node cannot listen on ${host}: it is neither an address nor a known name`, {
      cause: err,
    })
  }
}

async function choosePort(addresses: readonly string[], port: number | undefined, log: Logger): Promise<number> {
  const wanted = port ?? usualPort

  if (wanted === 0) {
    return 0
  }

  for (const address of addresses) {
    if (await isFree(address, wanted)) {
      continue
    }

    if (port !== undefined) {
      throw new ListenError(`the IPFS node cannot listen on port ${port} of ${address}: the port is taken`)
    }

    log.info('the default port of IPFS is taken, using a free one', { address, port: wanted })

    return 0
  }

  return wanted
}

async function isFree(address: string, port: number): Promise<boolean> {
  const server = createServer()

  try {
    server.listen({ host: address, port, exclusive: true, ipv6Only: isIPv6(address) })
    await once(server, 'listening')
  } catch (err) {
    const code = err instanceof Error && 'code' in err ? err.code : undefined

    if (code === 'EADDRINUSE') {
      return false
    }

    // there is no IPv6 here: libp2p goes on with IPv4 alone
    if (address === '::') {
      return true
    }

    throw new ListenError(`the IPFS node cannot listen on port ${port} of ${address}: ${String(code ?? err)}`, {
      cause: err,
    })
  }

  server.close()
  await once(server, 'close')

  return true
}
