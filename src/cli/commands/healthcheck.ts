import { once } from 'node:events'
import { get as getHttp, type IncomingMessage } from 'node:http'
import { get as getHttps } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, Option } from 'commander'
import { ClientError } from '../../remote/errors.ts'
import type { Config } from '../../config/schema.ts'

import { urlHost } from '../output/url-host.ts'
import { addConfigFlags } from '../flags/config-flags.ts'
import { duration } from '../flags/option-values.ts'
import { configOfServer } from '../flags/container-command.ts'
import type { CliContext } from '../process/context.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import { runCommand } from '../process/run-command.ts'

const second = 1000
/** For one answer of the server */
const timeout = 5 * second
/** Between two requests to a server that is not ready yet */
const pause = 0.1 * second
/** Characters of an answer that a message shows */
const maxShown = 200

/** The address to ask, if the server listens on every address */
const loopbacks = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
])

export function addHealthcheckCommand(program: Command, context: CliContext): void {
  addConfigFlags(program.command('healthcheck'))
    .description(
      'Ask the server with this configuration whether it is ready; in a container, by default the server there',
    )
    .addOption(
      new Option('--wait <duration>', 'how long to wait for a server that is not ready')
        .argParser(duration)
        .default(0, '0s'),
    )
    .option('--json', 'print JSON')
    .action(async ({ wait, ...flags }: { wait: number; json?: true }, command: Command) => {
      const config = await configOfServer(command, context)
      await runCommand(context, async signal => {
        const server = await waitUntilReady(config, performance.now() + wait * second, signal)
        printResult(context, flags, { server, ready: true }, line`${server} is ready`)
      })
    })
}

/** @param end when to give up, on the clock of `performance` */
async function waitUntilReady(config: Config, end: number, signal: AbortSignal): Promise<string> {
  for (;;) {
    try {
      return await requireReady(config, signal)
    } catch (err) {
      if (performance.now() >= end) {
        throw err
      }
    }
    await sleep(pause, undefined, { signal })
  }
}

/**
 * Asks once
 *
 * @returns the origin of the URL that was asked
 * @throws ClientError if the server does not answer that it is ready
 */
export async function requireReady(config: Config, signal: AbortSignal): Promise<string> {
  const url = urlOf(config)
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeout)])
  let answer: string
  let status: number | undefined
  try {
    // not verified: this asks only whether the server answers, often by an address that is not in its certificate
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

/** As much of an answer as a message shows; the rest, which may be endless, is not read */
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

/** Where the server answers whether it is ready */
function urlOf({ admin, host, port, tls }: Config): URL {
  const registry = { scheme: tls.certPath === undefined ? 'http' : 'https', host, port }
  const asked = admin.port === undefined ? registry : { scheme: 'http', host: admin.host, port: admin.port }
  if (asked.port === 0) {
    throw new ClientError('with port 0 the server chose a free port, and nothing tells which one')
  }
  return new URL(`${asked.scheme}://${urlHost(loopbacks.get(asked.host) ?? asked.host)}:${asked.port}/readyz`)
}
