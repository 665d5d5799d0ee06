import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../test/fixtures/run.ts'

const ticksPerSecond = 100
const kibibyte = 1024

/** User and system time of all threads of a process, in seconds */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // the second field is the command, which may hold spaces
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

export interface Memory {
  /** Resident bytes: now, and their peak since the start or {@link resetPeak} */
  now: number
  peak: number
  /** What is not backed by files: heap, buffers, stacks */
  anonymous: number
  /** Pages of files: the program and its libraries */
  file: number
}

export async function memory(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * kibibyte
  return { now: bytes('VmRSS'), peak: bytes('VmHWM'), anonymous: bytes('RssAnon'), file: bytes('RssFile') }
}

export async function resetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5')
}

/** Allocated bytes of a folder, with its directories, once everything is written back */
export async function diskUsage(path: string): Promise<number> {
  await run('sync', ['-f', path])
  return Number((await run('du', ['-s', '--block-size=1', path])).split('\t')[0])
}

/**
 * Waits until a process has been idle for two seconds in a row: what it does in the background after its start is over
 */
export async function settle(pid: number, limit = 300_000): Promise<void> {
  const second = 1000
  const end = performance.now() + limit
  for (let idle = 0; idle < 2 && performance.now() < end; ) {
    const before = await cpuSeconds(pid)
    await sleep(second)
    idle = (await cpuSeconds(pid)) - before <= 0.03 ? idle + 1 : 0
  }
}
