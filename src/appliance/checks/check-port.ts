import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Config } from '../../config/schema.ts'
import { StartError } from '../directory/start-error.ts'

export interface Listener {
  host: string
  /** 0 means any free one, so that only the host can be wrong */
  port: number
  /** The flags that change host and port */
  flags: { host: string; port: string }
}

/** Where a server listens by its configuration; an IPFS node whose port is not configured has 0 here */
export function listenersOf({ admin, host, network, p2p, port }: Config): Array<Listener & { name: string }> {
  const listeners = [{ name: 'registry', host, port, flags: { host: '--host', port: '--port' } }]
  if (admin.port !== undefined) {
    const flags = { host: '--admin-host', port: '--admin-port' }
    listeners.push({ name: 'admin', host: admin.host, port: admin.port, flags })
  }
  if (network !== 'offline') {
    const flags = { host: '--p2p-host', port: '--p2p-port' }
    // without IPv6 the node goes on with IPv4 alone
    listeners.push({ name: 'IPFS', host: p2p.host === '::' ? '0.0.0.0' : p2p.host, port: p2p.port ?? 0, flags })
  }
  return listeners
}

/**
 * Listens for a moment, to find out before anything changes on disk whether the port and the address can be had
 *
 * @throws StartError
 */
export async function checkPort({ host, port, flags }: Listener): Promise<void> {
  // closing waits for connections, and somebody may connect just now
  const server = createServer(socket => {
    socket.destroy()
  })
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
  } catch (err) {
    throw new StartError(messageOf(err as NodeJS.ErrnoException, { host, port, flags }), { cause: err })
  }
  const closed = once(server, 'close')
  server.close()
  await closed
}

function messageOf({ code, message }: NodeJS.ErrnoException, { host, port, flags }: Listener): string {
  switch (code) {
    case 'EADDRINUSE':
      return `port ${port} on ${host} is in use; choose another with ${flags.port}`
    case 'EACCES':
      return `no permission to listen on port ${port}; choose another with ${flags.port}`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `can't listen on ${host}: no such host is known; choose another with ${flags.host}`
    case 'EADDRNOTAVAIL':
      return `can't listen on ${host}: it is no address of this machine; choose another with ${flags.host}`
    default:
      return `can't listen on port ${port} of ${host}: ${message}`
  }
}
