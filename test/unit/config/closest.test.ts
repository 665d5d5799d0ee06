import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { closest } from '../../../src/config/closest.ts'

const candidates = ['port', 'host', 'dataDir', 'missingBlobs', 'IPDR_P2P_PORT', 'IPDR_PORT']

const cases: [string, string | undefined][] = [
  ['prot', 'port'],
  ['pport', 'port'],
  ['data_dir', 'dataDir'],
  ['datadir', 'dataDir'],
  ['missing-blob', 'missingBlobs'],
  ['IPDR_P2P_PROT', 'IPDR_P2P_PORT'],
  ['IPDR_PRT', 'IPDR_PORT'],
  ['somethingElse', undefined],
  ['', undefined],
  ['x'.repeat(1_000_000), undefined],
]

describe('closest', () => {
  for (const [word, expected] of cases) {
    it(`${word.slice(0, 20)} means ${expected ?? 'nothing'}`, () => assert.equal(closest(word, candidates), expected))
  }
})
