import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { getPriority } from 'node:os'
import { it } from 'node:test'
import { ReadWorkers } from '../../../src/ipfs/blockstore/read-workers.ts'
import { started } from '../../fixtures/read-workers.ts'
import { lowerPoolThreads } from '../../../src/scheduling/thread-priority.ts'

/** Of each thread of this process, by its name */
async function priorities(): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {}
  for (const thread of await readdir('/proc/self/task')) {
    const name = (await readFile(`/proc/self/task/${thread}/comm`, 'utf8')).trim()
    const key = Number(thread) === process.pid ? 'main' : name
    found[key] = [...(found[key] ?? []), getPriority(Number(thread))]
  }
  return found
}

it('the main thread goes before those that read, write and hash', {
  skip: process.platform !== 'linux' && 'only Linux has a priority for each thread',
}, async () => {
  const own = getPriority()
  const readers = new ReadWorkers(1)
  try {
    await started(readers)
    await Promise.all([
      stat('.'),
      assert.rejects(readers.read('/nowhere', Buffer.from(new SharedArrayBuffer(1)), undefined), { code: 'ENOENT' }),
    ])
    await lowerPoolThreads()
    const { main, 'libuv-worker': pool, WorkerThread: workers } = await priorities()
    const lower = Math.min(19, own + 5)
    assert.deepEqual([main, new Set(pool), workers], [[own], new Set([lower]), [lower]])
  } finally {
    await readers.stop()
  }
})
