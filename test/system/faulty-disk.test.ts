import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { TestAppliance } from '../fixtures/appliance.ts'
import { faultyServer } from '../fixtures/faults/crash-point.ts'
import type { FaultPlan } from '../fixtures/faults/faults.ts'
import { UnexpectedStatusError } from '../fixtures/ledger.ts'
import { LoadClient, pushShared } from '../fixtures/load/load-client.ts'
import { sharedLayers } from '../fixtures/load/load-image.ts'
import { fsckProblems } from '../fixtures/maintenance.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'

const minute = 60_000
const mebibyte = 1024 * 1024
const steps = 12
const clients = 3

const seed = process.env.FAULTS_SEED ?? String(Date.now())

interface Case {
  disk: string
  plan: FaultPlan
  /** Of answers that say no */
  statuses: readonly number[]
}

const cases: Case[] = [
  // the start has about fifteen steps, and what all share is pushed in about a hundred
  {
    disk: 'that fails now and then, is slow, and writes only a part',
    plan: { calm: 200, fail: 0.02, delay: 0.1, tear: 0.05 },
    statuses: [500],
  },
  { disk: 'that fills up', plan: { capacity: 16 * mebibyte }, statuses: [507] },
]

describe('a server on a disk', () => {
  for (const { disk, plan, statuses } of cases) {
    it(`${disk} says so, goes on, and loses nothing that it acknowledged`, { timeout: 10 * minute }, async t => {
      t.diagnostic(`FAULTS_SEED=${seed}`)
      await using directory = await temporaryDirectory('faulty-disk')
      const dataDir = join(directory.path, 'data')
      await using server = await ServerProcess.start(faultyServer({ plan: { ...plan, seed }, directory: dataDir }))
      const client = new RegistryClient(server)
      const layers = sharedLayers()
      const shared = await pushShared(client, layers)
      const loads = Array.from({ length: clients }, (_, number) => new LoadClient({ number, seed, layers }))
      let refused = 0
      await Promise.all(
        loads.map(async load => {
          for (let i = 0; i < steps; i++) {
            await load.step(client).catch((err: unknown) => {
              assert.ok(err instanceof UnexpectedStatusError && statuses.includes(err.status), String(err))
              refused++
            })
          }
        }),
      )
      assert.equal((await client.request('GET', '/livez')).status, 200)
      await server.kill()

      await using appliance = await TestAppliance.start(dataDir)
      const acknowledged = loads.reduce((sum, { ledger }) => sum + ledger.acknowledged, shared.acknowledged)
      t.diagnostic(`${refused} of ${clients * steps} refused, ${acknowledged} requests acknowledged`)
      assert.ok(refused > 0, 'nothing went wrong')
      assert.deepEqual(await shared.verify(appliance.client), [])
      for (const load of loads) {
        assert.deepEqual(await load.recover(appliance.client), [])
        await load.repeat(appliance.client)
        assert.deepEqual(await load.ledger.verify(appliance.client), [])
      }
      assert.deepEqual(await fsckProblems(appliance.client), [])
    })
  }
})
