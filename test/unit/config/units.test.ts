import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseDuration, parseSize } from '../../../src/config/units.ts'

const durations: [unknown, number | undefined][] = [
  [10, 10],
  [0, 0],
  ['10', 10],
  ['500ms', 0.5],
  ['10s', 10],
  ['1.5m', 90],
  ['2h', 7200],
  ['1d', 86_400],
  ['10 s', undefined],
  ['-1s', undefined],
  ['s', undefined],
  ['', undefined],
  ['1h30m', undefined],
  ['1e3', undefined],
  ['10S', undefined],
  ['10sec', undefined],
  [Number.NaN, undefined],
  [Number.POSITIVE_INFINITY, undefined],
  [null, undefined],
  [true, undefined],
  [['1'], undefined],
]

const sizes: [unknown, number | undefined][] = [
  [4096, 4096],
  ['4096', 4096],
  ['10B', 10],
  ['4MiB', 4_194_304],
  ['4MB', 4_000_000],
  ['1kB', 1000],
  ['1KB', 1000],
  ['0.5KiB', 512],
  ['2GiB', 2 ** 31],
  ['4M', undefined],
  ['4mib', undefined],
  ['1.1B', undefined],
  [1.5, undefined],
  ['MiB', undefined],
  ['4 MiB', undefined],
  ['9999999TiB', undefined],
]

describe('parseDuration', () => {
  for (const [value, seconds] of durations) {
    it(`${JSON.stringify(value)} is ${seconds ?? 'refused'}`, () => assert.equal(parseDuration(value), seconds))
  }
})

describe('parseSize', () => {
  for (const [value, bytes] of sizes) {
    it(`${JSON.stringify(value)} is ${bytes ?? 'refused'}`, () => assert.equal(parseSize(value), bytes))
  }
})
