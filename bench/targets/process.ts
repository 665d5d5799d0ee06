import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { request } from 'node:http'
import { request as requestTls } from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../test/fixtures/free-port.ts'
import type { Target, TargetName } from './target.ts'

const startTimeout = 120_000
const stopTimeout = 60_000
const pollInterval = 5
const maxOutput = 64 * 1024

/** Where the standard error of each target goes, and the output of those that log there */
export const logDirectory = join(import.meta.dirname, '../results/tmp/logs')

export interface ProcessInit {
  name: TargetName
  dataDir: string
  command: string
  /** @default a free one */
  port?: number
  args: (port: number) => string[]
  /** @default that of the benchmark */
  env?: (port: number) => NodeJS.ProcessEnv
  /** Path that answers 200 once the server is ready; POST for kubo's RPC API */
  ready: string
  method?: 'GET' | 'POST'
  /** Whether it answers by TLS alone */
  secure?: boolean
  /** Whether it logs to its standard output, which is not read then: whoever reads it needs a processor */
  outputIsLog?: boolean
}

/** @throws Error where the process ends or does not become ready */
export async function startProcess(init: ProcessInit): Promise<Target> {
  const { dataDir, command, args, env, ready, method = 'GET', secure = false, outputIsLog = false } = init
  await mkdir(dataDir, { recursive: true })
  const port = init.port ?? (await freePort())
  const base = `${secure ? 'https' : 'http'}://127.0.0.1:${port}`
  const log = openLog(init.name)
  const began = performance.now()
  const child = spawn(command, args(port), {
    env: env?.(port) ?? process.env,
    stdio: ['ignore', outputIsLog ? log : 'pipe', log],
  })
  closeSync(log)
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-maxOutput)
  })
  // a benchmark that is cut short leaves no server behind: first of all, as their folders are removed then
  const kill = (): void => {
    child.kill('SIGKILL')
  }
  process.prependOnceListener('exit', kill)
  const exited = once(child, 'exit').finally(() => {
    process.off('exit', kill)
  })
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    const timer = setTimeout(kill, stopTimeout)
    await exited
    clearTimeout(timer)
  }
  while (!(await answers(`${base}${ready}`, method))) {
    if (child.exitCode !== null || performance.now() - began > startTimeout) {
      await stop()
      throw new Error(`${[command, ...args(port)].join(' ')} does not become ready; see ${logDirectory}`)
    }
    await sleep(pollInterval)
  }
  return { base, dataDir, pid: child.pid!, startTime: performance.now() - began, output: () => output, stop }
}

/** Not by fetch, whose first call takes longer than a fast server's start */
async function answers(url: string, method: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  // whoever signed it: this asks for no secret
  const ask = url.startsWith('https:') ? requestTls : request
  ask(url, { method, agent: false, rejectUnauthorized: false }, response => {
    response.resume()
    resolve(response.statusCode === 200)
  })
    .on('error', () => {
      resolve(false)
    })
    .end()
  return await promise
}

function openLog(name: TargetName): number {
  mkdirSync(logDirectory, { recursive: true })
  return openSync(join(logDirectory, `${name}.log`), 'a')
}
