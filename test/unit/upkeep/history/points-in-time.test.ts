import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { Administration } from '../../../../src/upkeep/administration.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'
import { imageManifest } from '../../../fixtures/manifests.ts'

const minute = 60_000
const begin = Date.parse('2026-11-30T12:00:00Z')
const at = (minutes: number): Date => new Date(begin + minutes * minute)

let stores: TestRegistry
let administration: Administration

beforeEach(async () => {
  mock.timers.enable({ apis: ['Date'], now: begin })
  stores = await TestRegistry.open({ recent: 0, unreferenced: 0, history: {} })
  const { historyLog, readOnly, undo } = stores
  administration = new Administration({ historyLog, readOnly, undo } as never)
})
afterEach(async () => {
  mock.timers.reset()
  await stores[Symbol.asyncDispose]()
})

/** Pushes an image at a minute of the test */
async function push(minutes: number, repository: string, tag: string): Promise<string> {
  mock.timers.setTime(at(minutes).getTime())
  await stores.pushEmptyConfig(repository)
  return (await stores.pushManifest(repository, tag, imageManifest({ annotations: { minutes: `${minutes}` } }))).digest
}

describe('a time instead of a state', () => {
  it('is that which was in force then', async () => {
    for (const [i, repository] of ['app', 'other', 'app', 'other', 'app', 'app', 'other'].entries()) {
      await push(10 * (i + 1), repository, 'v1')
    }
    const states: number[] = []
    for (const minutes of [10, 19, 20, 30, 45, 60, 69, 70]) {
      states.push(await stores.historyLog.stateAt(at(minutes)))
    }
    assert.deepEqual(states, [1, 1, 2, 3, 4, 6, 6, 7])
    assert.equal(await stores.undo.forget('app'), 4)
    assert.deepEqual(await Promise.all([20, 45, 60, 65].map(m => stores.historyLog.stateAt(at(m)))), [2, 4, 6, 6])
  })

  it('can be undone to, and compared', async () => {
    const old = await push(10, 'app', 'v1')
    const young = await push(20, 'app', 'v1')
    mock.timers.setTime(at(30).getTime())
    const { tags } = await administration.diff({ from: at(15), to: at(25) })
    assert.deepEqual(tags, [{ repository: 'app', tag: 'v1', before: old, after: young }])
    assert.deepEqual((await administration.diff({ from: at(25) })).tags, [])
    const undone = await administration.undo('app', at(15))
    assert.equal(undone.to, 1)
    assert.equal((await stores.index.tag('app', 'v1'))?.digest, old)
    await administration.undo('app:v1', at(25))
    assert.equal((await stores.index.tag('app', 'v1'))?.digest, young)
  })

  it('is refused in the future, and before anything is known', async () => {
    await push(10, 'app', 'v1')
    const refused = async (minutes: number, reason: RegExp): Promise<void> => {
      const attempts = [
        async () => await administration.undo('app', at(minutes)),
        async () => await administration.diff({ from: at(minutes) }),
      ]
      for (const attempt of attempts) {
        await assert.rejects(attempt, ({ code, detail }: { code: string; detail: { reason: string } }) => {
          assert.match(detail.reason, reason)
          return code === 'REQUEST_INVALID'
        })
      }
    }
    await refused(11, /^2026-11-30T12:11:00.000Z is in the future: it is 2026-11-30T12:10:00.000Z now$/)
    await refused(9, /the first change that is remembered was at 2026-11-30T12:10:00.000Z; .* known is 0$/)
    assert.equal(await stores.index.history.last(), 1)
  })

  it('is known from the last change on that was forgotten for its age', async () => {
    const digest = await push(10, 'app', 'v1')
    await push(20, 'app', 'v2')
    mock.timers.setTime(at(60).getTime())
    await stores.repository('app').deleteManifest({ digest: digest as `sha256:${string}` })
    await stores.collector({ historyKeep: 30 * minute }).collect()
    await assert.rejects(stores.historyLog.stateAt(at(19)), { code: 'REQUEST_INVALID' })
    assert.equal(await stores.historyLog.stateAt(at(25)), 2)
    await administration.undo('app', at(59))
    assert.equal((await stores.index.tag('app', 'v1'))?.digest, digest)
    // the deletion and its undo are forgotten as well
    mock.timers.setTime(at(120).getTime())
    await stores.collector({ historyKeep: 30 * minute }).collect()
    assert.equal(await stores.historyLog.stateAt(at(90)), 4)
    await assert.rejects(stores.historyLog.stateAt(at(59)), /REQUEST_INVALID|malformed/)
  })
})
