import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { run } from '../test/fixtures/run.ts'

const hour = 3_600_000
export const nativeBinary = join(import.meta.dirname, 'bin/native')

/** Of one push by all its clients */
export interface Pushed {
  seconds: number
  bytes: number
  digests: string[]
  /** CID of each blob, empty where the registry does not tell */
  cids: string[]
}

export interface Pulled {
  seconds: number
  bytes: number
  /** Milliseconds from each request to the first byte of its body */
  firstByte: number[]
}

/** Latencies are milliseconds */
export interface Rates {
  requests: number
  seconds: number
  p50: number
  p99: number
  max: number
}

export interface Image {
  layers: Array<{ digest: string; size: number }>
  manifest: { digest: string; size: number }
}

export interface PushInit {
  base: string
  repository: string
  /** Bytes of each blob */
  size: number
  clients: number
  /** Blobs of each client */
  count: number
  chunked: boolean
}

export interface PullInit {
  base: string
  paths: string[]
  /** Bytes of each body */
  size: number
  clients: number
  method?: 'GET' | 'POST'
  /** Whether what comes is compared with the digest in the path; takes longer than the pull */
  verify?: boolean
}

/** Builds bench/native where it changed */
export async function buildNative(): Promise<void> {
  await run('go', ['build', '-trimpath', '-o', nativeBinary, '.'], {
    cwd: join(import.meta.dirname, 'native'),
    env: { GOWORK: 'off', CGO_ENABLED: '0' },
  })
}

export async function nativePush(init: PushInit): Promise<Pushed> {
  return await native('push', pushArguments(init))
}

export async function nativePull({
  base,
  paths,
  size,
  clients,
  method = 'GET',
  verify = false,
}: PullInit): Promise<Pulled> {
  return await native('pull', { base, size, clients, method, verify }, JSON.stringify(paths))
}

export async function nativeRate(init: {
  url: string
  method: 'GET' | 'HEAD'
  connections: number
  seconds: number
  accept?: string
  /** Value of that header */
  authorization?: string
}): Promise<Rates> {
  return await native('rate', init)
}

export async function nativeImage(dir: string, layers: number[]): Promise<Image> {
  return await native('image', { dir, layers: layers.join(',') })
}

export async function fillBlocks(dir: string, count: number): Promise<void> {
  await native('fill-blocks', { dir, count })
}

export async function fillDistribution(dir: string, count: number, digest: string): Promise<void> {
  await native('fill-distribution', { dir, count, digest })
}

/** Latencies of a request every 5 ms for as long as the push takes */
export async function pacedDuringPush(
  url: string,
  accept: string,
  init: PushInit,
): Promise<{ rates: Rates; pushed: Pushed }> {
  const push = start('push', { ...pushArguments(init), gate: true })
  // its digests are ready then
  await Promise.race([
    once(push.stdout, 'data'),
    once(push, 'exit').then(() => {
      throw new Error('the push ended before it began')
    }),
  ])
  const paced = start('paced', { url, accept })
  const latencies = result<Rates>(paced)
  const pushed = result<Pushed>(push)
  push.stdin.end('\n')
  try {
    await pushed
  } finally {
    paced.stdin.end()
  }
  return { rates: await latencies, pushed: await pushed }
}

function pushArguments({
  base,
  repository,
  size,
  clients,
  count,
  chunked,
}: PushInit): Record<string, string | number | boolean> {
  return { base, repository, size, clients, count, chunked }
}

async function native<T>(
  command: string,
  flags: Record<string, string | number | boolean>,
  input?: string,
): Promise<T> {
  return JSON.parse(
    await run(nativeBinary, [command, ...flagArguments(flags)], {
      timeout: hour,
      ...(input === undefined ? {} : { input }),
    }),
  ) as T
}

function start(
  command: string,
  flags: Record<string, string | number | boolean>,
): ChildProcessByStdio<Writable, Readable, null> {
  return spawn(nativeBinary, [command, ...flagArguments(flags)], { stdio: ['pipe', 'pipe', 'inherit'] })
}

async function result<T>(child: ChildProcessByStdio<Writable, Readable, null>): Promise<T> {
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number | null]>])
  if (code !== 0) {
    throw new Error(`${child.spawnargs.join(' ')}: exit code ${code}`)
  }
  return JSON.parse(output) as T
}

function flagArguments(flags: Record<string, string | number | boolean>): string[] {
  return Object.entries(flags).map(([name, value]) => `-${name}=${value}`)
}
