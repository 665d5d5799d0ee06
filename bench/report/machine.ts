import { cpus, release, totalmem } from 'node:os'
import { run } from '../../test/fixtures/run.ts'
import { GiB } from '../options.ts'
import type { Machine } from './results.ts'

/** @param directory where the stores lie */
export async function describeMachine(directory: string): Promise<Machine> {
  const [, kind = 'unknown', mount = ''] = (await run('df', ['--output=source,fstype,target', directory]))
    .split('\n')
    .at(-1)!
    .split(/\s+/)
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    processors: cpus().length,
    memory: Math.round(totalmem() / GiB),
    kernel: release(),
    fileSystem: `${kind} at ${mount}`,
  }
}
