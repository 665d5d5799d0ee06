import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RunLog } from '../../../src/scheduling/run-log.ts'
import { recordingLog } from '../../fixtures/recording-log.ts'

class Store {
  text: string | undefined
  fails = false

  async read(): Promise<string | undefined> {
    return this.text
  }

  async write(text: string): Promise<void> {
    if (this.fails) {
      throw new Error('disk full')
    }
    this.text = text
  }
}

async function open(store: Store, lines = recordingLog()): Promise<RunLog<number, string>> {
  const log = new RunLog<number, string>({ store, log: lines }, { max: 2, reasonOf: err => String(err) })
  await log.start()
  return log
}

describe('the log of runs', () => {
  it('has the one that goes on, and the last ones, also after a restart', async () => {
    const store = new Store()
    const runs = await open(store)
    {
      using run = runs.begin()
      run.progress(5)
      assert.equal(runs.current?.progress, 5)
      run.done('first')
    }
    {
      using run = runs.begin()
      run.failed('no room')
    }
    {
      using _cutShort = runs.begin()
    }
    {
      using run = runs.begin()
      run.done('third')
    }
    assert.equal(runs.current, undefined)
    await runs.stop()
    const known = (await open(store)).runs
    assert.deepEqual(
      known.map(({ error, result }) => error ?? result),
      ['third', 'no room'],
    )
    assert.deepEqual(known, runs.runs)
    assert.ok(Date.parse(known[0]!.started) <= Date.now() && known[0]!.seconds >= 0)
  })

  it('goes on where its store fails or has nonsense', async () => {
    const store = new Store()
    store.text = '{'
    store.fails = true
    const lines = recordingLog()
    const runs = await open(store, lines)
    assert.deepEqual(runs.runs, [])
    {
      using run = runs.begin()
      run.done('kept in memory')
    }
    await runs.stop()
    assert.equal(runs.runs.length, 1)
    assert.deepEqual(
      lines.lines.map(({ level }) => level),
      ['warn', 'warn'],
    )
  })
})
