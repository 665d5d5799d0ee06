import type { Config } from '../../config/schema.ts'
import { checkPort, type Listener } from '../checks/check-port.ts'
import { StartError } from '../directory/start-error.ts'
import { type Finding, ok, warning, wrong } from './finding.ts'

interface Wanted extends Listener {
  name: string
}

/** Where the IPFS node listens if it can and nothing else is configured */
const usualPort = 4001

/** @param isServed whether the server runs, which then has the ports */
export async function checkPorts(config: Config, isServed: boolean): Promise<Finding[]> {
  return await Promise.all([
    ...wantedPorts(config).map(async wanted => await checkWanted(wanted, isServed)),
    ...(config.network !== 'offline' && config.p2p.port === undefined && !isServed
      ? [checkUsual(config.p2p.host)]
      : []),
  ])
}

function wantedPorts({ admin, host, network, p2p, port }: Config): Wanted[] {
  const wanted = [
    { name: 'registry', host, port, flags: { host: '--host', port: '--port' } },
    ...(admin.port === undefined
      ? []
      : [{ name: 'admin', host: admin.host, port: admin.port, flags: { host: '--admin-host', port: '--admin-port' } }]),
    ...(network === 'offline' || p2p.port === undefined
      ? []
      : [{ name: 'IPFS', host: ipv4Of(p2p.host), port: p2p.port, flags: { host: '--p2p-host', port: '--p2p-port' } }]),
  ]
  return wanted
}

async function checkWanted({ name, ...listener }: Wanted, isServed: boolean): Promise<Finding> {
  const [check, where] = [`${name} port`, `${listener.port} on ${listener.host}`]
  if (listener.port === 0 && isServed) {
    return ok(check, 'is one that the server chose')
  }
  try {
    await checkPort(listener)
  } catch (err) {
    const isTaken = ((err as Error).cause as NodeJS.ErrnoException | undefined)?.code === 'EADDRINUSE'
    if (isServed && isTaken) {
      return ok(check, `${where} is held, as the server runs`)
    }
    if (err instanceof StartError) {
      return wrong(check, err.message, 'Stop what listens there (ss -ltnp lists it), or change the configuration.')
    }
    throw err
  }
  return isServed
    ? warning(
        check,
        `nobody listens at ${where}, though the server runs`,
        'It was started with another configuration: restart it, or give this command the flags that it has.',
      )
    : ok(check, listener.port === 0 ? 'will be any free one' : `${where} is free`)
}

async function checkUsual(host: string): Promise<Finding> {
  const check = 'IPFS port'
  try {
    await checkPort({ host: ipv4Of(host), port: usualPort, flags: { host: '--p2p-host', port: '--p2p-port' } })
    return ok(check, `${usualPort} on ${host} is free`)
  } catch (err) {
    return warning(
      check,
      `${usualPort} can't be had, so it will be any free one: ${(err as Error).message}`,
      'Set p2p.port to a free port if peers or a firewall have to know it.',
    )
  }
}

/** Without IPv6 the node goes on with IPv4 alone */
function ipv4Of(host: string): string {
  return host === '::' ? '0.0.0.0' : host
}
