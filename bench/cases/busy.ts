import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import type { Case } from '../bench.ts'
import type { Measure } from '../measures.ts'
import { MiB, sizeText } from '../options.ts'

/** A job that never waits, as a compiler or another server's work; it ends with the benchmark, however that ends */
const endless =
  "process.on('disconnect', () => process.exit()); setImmediate(function turn() { " +
  'for (const end = Date.now() + 100; Date.now() < end; ); setImmediate(turn) })'

/** A push and a pull by one client while other jobs keep every processor busy */
export const busy: Case = {
  name: 'busy',
  run: async bench => {
    const size = bench.options.sizes?.[0] ?? (bench.options.quick ? 16 : 256) * MiB
    await bench.withServers(bench.registries, async servers => {
      await bench.inTurn(servers, async (server, round) => {
        const repository = `bench/busy-r${round}`
        await server.makeRoom(size)
        await using _jobs = keepBusy()
        const pushed = await server.push({ repository, size, clients: 1, count: 1, chunked: bench.options.chunked })
        const pulled = await server.pull(repository, pushed.digests, size, 1)
        return [
          [measure('push', size), pushed.bytes / MiB / pushed.seconds],
          [measure('pull', size), pulled.bytes / MiB / pulled.seconds],
        ]
      })
    })
  },
}

/** Name of the measure, for the goals as well */
export function busyName(what: 'push' | 'pull', size: number): string {
  return `${what} ${sizeText(size)} beside a job on each processor`
}

function measure(what: 'push' | 'pull', size: number): Measure {
  return { case: 'busy', name: busyName(what, size), unit: 'MiB/s', better: 'higher' }
}

/** Runs a job for each processor until it is disposed of */
function keepBusy(): AsyncDisposable {
  const jobs = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ['--eval', endless], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] }),
  )
  return {
    [Symbol.asyncDispose]: async () => {
      await Promise.all(
        jobs.map(async job => {
          const ended = once(job, 'exit')
          job.kill('SIGKILL')
          await ended
        }),
      )
    },
  }
}
