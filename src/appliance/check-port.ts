import { once } from 'node:events'
import { createServer } from 'node:net'
import { StartError } from './start-error.ts'

export interface Listener {
  host: string
  /** 0: any free one, so that only the host can be wrong */
  port: number
  /** The flags that change them */
  flags: { host: string; port: string }
}

/**
 * Listens and stops again, so that a port or an address that can't be had is known before anything is changed
 *
 * @throws StartError
 */
export async function checkPort({ host, port, flags }: Listener): Promise<void> {
  // closing waits for connections, and somebody may try the port just now
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
