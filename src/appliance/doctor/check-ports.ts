import type { Config } from '../../config/schema.ts'
import { checkPort, listenersOf, type Listener } from '../checks/check-port.ts'
import { usualPort } from '../../ipfs/node/listen.ts'
import { StartError } from '../directory/start-error.ts'
import { type Finding, ok, warning, wrong } from './finding.ts'

/** @param isServed whether the server runs, which then has the ports */
export async function checkPorts(config: Config, isServed: boolean): Promise<Finding[]> {
  const { host, port } = config.p2p
  const checked = listenersOf(config).map(async ({ name, ...listener }) => {
    const check = `${name} port`
    if (name !== 'IPFS' || port !== undefined) {
      return await checkWanted(check, listener, isServed)
    }
    return isServed ? undefined : await checkUsual(check, { ...listener, port: usualPort }, host)
  })
  return (await Promise.all(checked)).filter(finding => finding !== undefined)
}

async function checkWanted(check: string, listener: Listener, isServed: boolean): Promise<Finding> {
  const where = `${listener.port} on ${listener.host}`
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

/** @param host as it is configured */
async function checkUsual(check: string, listener: Listener, host: string): Promise<Finding> {
  try {
    await checkPort(listener)
    return ok(check, `${usualPort} on ${host} is free`)
  } catch (err) {
    return warning(
      check,
      `${usualPort} can't be had, so it will be any free one: ${(err as Error).message}`,
      'Set p2p.port to a free port if peers or a firewall have to know it.',
    )
  }
}
