import { once } from 'node:events'
import { get as getHttp, type IncomingMessage } from 'node:http'
import { get as getHttps } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { ClientError } from '../../client/errors.ts'
import type { Config } from '../../config/schema.ts'
import { parseDuration } from '../../config/units.ts'
import { urlHost } from '../output/url-host.ts'
import { addConfigFlags, configOf } from '../flags/config-flags.ts'
import { commandOfContainer } from '../flags/container-command.ts'
import type { CliContext } from '../process/context.ts'
import { line } from '../output/printable.ts'
import { runCommand } from '../process/run-command.ts'
import { UsageError } from '../process/errors.ts'

const second = 1000
const timeout = 5 * second
/** Between two questions to a server that is not ready yet */
const pause = 0.1 * second
/** Characters of an answer that are told */
const maxShown = 200

/** What a server that listens on every address is asked at */
const loopbacks = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
])

export function addHealthcheckCommand(program: Command, context: CliContext): void {
  const healthcheck = addConfigFlags(program.command('healthcheck'))
  const configOptions = [...healthcheck.options]
  healthcheck
    .description(
      'Ask the server of the same configuration whether it is ready; in a container, the one that this was started for',
    )
    .option('--wait <duration>', 'how long a server that is not ready may take', '0s')
    .action(async ({ wait }: { wait: string }, command: Command) => {
      const given = configOptions.some(option => command.getOptionValueSource(option.attributeName()) === 'cli')
      const config = configOf(given ? command : await commandOfContainer(), context)
      const seconds = parseDuration(wait)
      if (seconds === undefined) {
        throw new UsageError(`--wait must be a duration such as 5s, got ${wait}`)
      }
      await runCommand(context, async signal => {
        context.stdout.write(
          line`${await waitUntilReady(config, performance.now() + seconds * second, signal)} is ready`,
        )
      })
    })
}

/** @param end - on the clock of `performance` */
async function waitUntilReady(config: Config, end: number, signal: AbortSignal): Promise<string> {
  for (;;) {
    try {
      return await check(config, signal)
    } catch (err) {
      if (performance.now() >= end) {
        throw err
      }
    }
    await sleep(pause, undefined, { signal })
  }
}

/**
 * @returns what was asked
 * @throws ClientError where the server does not answer that it is ready
 */
async function check(config: Config, signal: AbortSignal): Promise<string> {
  const url = urlOf(config)
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeout)])
  let answer: string
  let status: number | undefined
  try {
    // whose certificate it is does not matter to somebody who asks whether anybody is there
    const request =
      url.protocol === 'https:'
        ? getHttps(url, { rejectUnauthorized: false, agent: false, signal: limit })
        : getHttp(url, { agent: false, signal: limit })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    status = response.statusCode
    answer = await beginningOf(response)
  } catch (err) {
    const { code, message } = err as NodeJS.ErrnoException
    throw new ClientError(
      `${url.origin} ${code === 'ABORT_ERR' ? 'does not answer' : `can't be reached: ${code ?? message}`}`,
      { cause: err },
    )
  }
  if (status !== 200) {
    throw new ClientError(`${url.origin} is not ready: ${status} ${answer.trim()}`)
  }
  return url.origin
}

/** As much as is told of it: it may have no end */
async function beginningOf(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk as string
    if (text.length > maxShown) {
      break
    }
  }
  return text.slice(0, maxShown)
}

/** Where the server tells whether it is ready */
function urlOf({ admin, host, port, tls }: Config): URL {
  const registry = { scheme: tls.certPath === undefined ? 'http' : 'https', host, port }
  const asked = admin.port === undefined ? registry : { scheme: 'http', host: admin.host, port: admin.port }
  if (asked.port === 0) {
    throw new ClientError('port 0 is any free one: there is no telling where to ask')
  }
  return new URL(`${asked.scheme}://${urlHost(loopbacks.get(asked.host) ?? asked.host)}:${asked.port}/readyz`)
}
