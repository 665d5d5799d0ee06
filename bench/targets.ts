import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const root = join(import.meta.dirname, '..')
const startLimit = 30_000

/** A registry that runs as a process of its own, with a data directory that goes with it */
export interface Target {
  name: string
  base: string
  stop: () => Promise<void>
}

export async function startIpdr (parent: string): Promise<Target> {
  return await start('ipdr', parent, (port, dir) => ({
    command: process.execPath,
    args: ['--max-semi-space-size=4', join(root, 'src/main.ts'), 'server', '--host', '127.0.0.1', '--port', String(port), '--data-dir', dir, '--network', 'offline', '--log-level', 'warn']
  }))
}

/** distribution v3, which syncs a blob's file and directory before it answers, as we do */
export async function startDistribution (parent: string): Promise<Target> {
  const command = join(root, 'test/tools/bin/registry')
  if (!existsSync(command)) {
    throw new Error(`${command} is missing: run scripts/test-tools distribution`)
  }
  return await start('distribution', parent, (port, dir) => ({
    command,
    args: ['serve', join(import.meta.dirname, 'distribution.yml')],
    env: { REGISTRY_HTTP_ADDR: `127.0.0.1:${port}`, REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: dir }
  }))
}

async function start (
  name: string, parent: string, how: (port: number, dir: string) => { command: string, args: string[], env?: Record<string, string> }
): Promise<Target> {
  const dir = await mkdtemp(join(parent, `${name}-`))
  const port = await freePort()
  const { command, args, env } = how(port, dir)
  const child = spawn(command, args, { env: { ...process.env, OTEL_TRACES_EXPORTER: 'none', ...env }, stdio: ['ignore', 'ignore', 'inherit'] })
  const target = { name, base: `http://127.0.0.1:${port}`, stop: async () => { await stop(child, dir) } }
  try {
    await ready(`${target.base}/v2/`, child)
  } catch (err) {
    await target.stop()
    throw err
  }
  return target
}

async function ready (url: string, child: ChildProcess): Promise<void> {
  const end = Date.now() + startLimit
  while (child.exitCode === null && Date.now() < end) {
    if (await fetch(url).then(response => response.ok, () => false)) {
      return
    }
    await sleep(50)
  }
  throw new Error(`${child.spawnfile} did not start`)
}

async function stop (child: ChildProcess, dir: string): Promise<void> {
  if (child.exitCode === null) {
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
  }
  await rm(dir, { recursive: true, force: true })
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
