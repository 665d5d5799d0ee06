import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Metrics } from '../../../../src/metrics.ts'
import { ServedBytes } from '../../../../src/upkeep/status/served-bytes.ts'

describe('the bytes that clients got', () => {
  it('are told by minute and source, for an hour', async () => {
    const metrics = new Metrics()
    const served = new ServedBytes({ metrics })
    assert.deepEqual(await served.report(), { total: {}, minutes: [{}] })
    metrics.servedBytes.inc({ source: 'disk' }, 5)
    await served.endMinute()
    metrics.servedBytes.inc({ source: 'disk' }, 2)
    metrics.servedBytes.inc({ source: 'peer' }, 3)
    assert.deepEqual(await served.report(), {
      total: { disk: 7, peer: 3 },
      minutes: [{ disk: 5 }, { disk: 2, peer: 3 }],
    })
    for (let i = 0; i < 100; i++) {
      await served.endMinute()
    }
    const { minutes, total } = await served.report()
    assert.deepEqual([minutes.length, total], [60, { disk: 7, peer: 3 }])
  })
})
