import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseTime } from '../../../src/oci/time.ts'

const times: [text: string, time: string | undefined][] = [
  ['2026-11-30T14:02:11Z', '2026-11-30T14:02:11.000Z'],
  ['2026-11-30T14:02:11.803Z', '2026-11-30T14:02:11.803Z'],
  ['2026-11-30T14:02:11.803999999Z', '2026-11-30T14:02:11.803Z'],
  ['2026-11-30T14:02Z', '2026-11-30T14:02:00.000Z'],
  ['2026-11-30T00:02:11+01:00', '2026-11-29T23:02:11.000Z'],
  ['2024-02-29T00:00:00-05:00', '2024-02-29T05:00:00.000Z'],
  ['2026-02-29T00:00:00Z', undefined],
  ['2026-02-30T00:00:00Z', undefined],
  ['2026-13-01T00:00:00Z', undefined],
  ['2026-11-30T25:00:00Z', undefined],
  ['2026-11-30T14:02:11', undefined],
  ['2026-11-30 14:02:11Z', undefined],
  ['2026-11-30', undefined],
  ['1764511331000', undefined],
  ['30 Nov 2026 14:02:11 GMT', undefined],
  ['', undefined],
]

describe('parseTime', () => {
  for (const [text, time] of times) {
    it(`reads ${text}`, () => {
      assert.equal(parseTime(text)?.toISOString(), time)
    })
  }
})
