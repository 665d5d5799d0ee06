import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import packageJson from '../../../../package.json' with { type: 'json' }
import { checkMemory, checkOpenFiles, openFilesIn } from '../../../../src/appliance/doctor/check-limits.ts'
import { checkNode, oldestNode } from '../../../../src/appliance/doctor/check-node.ts'
import { parseConfig } from '../../../../src/config/load.ts'

const mebibyte = 2 ** 20

describe('the check of open files', () => {
  it('reads the hard limit, to which Node raises its own', () => {
    const lines = (hard: string): string =>
      `Limit  Soft Limit  Hard Limit  Units\nMax open files    1024    ${hard}   files\n`
    assert.equal(openFilesIn(lines('524288')), 524_288)
    assert.equal(openFilesIn(lines('unlimited')), Infinity)
    assert.equal(openFilesIn(''), undefined)
  })

  it('compares it with the connections that the limits allow', async () => {
    const few = parseConfig({ network: 'offline', limits: { connections: 1 } })
    assert.equal((await checkOpenFiles(few, undefined)).outcome, 'ok')
    const many = parseConfig({ network: 'offline', limits: { connections: 1_000_000 } })
    const { found, outcome, advice } = await checkOpenFiles(many, undefined)
    assert.deepEqual([outcome, /need 1001024$/.test(found), /ulimit -n 1001024/.test(advice!)], ['warning', true, true])
    for (const [network, peers] of [
      ['public', 200],
      ['lan', 300],
    ] as const) {
      const { found } = await checkOpenFiles(parseConfig({ network, limits: { connections: 1_000_000 } }), undefined)
      assert.match(found, new RegExp(`need ${1_001_024 + peers}$`))
    }
    assert.match((await checkOpenFiles(few, process.pid)).found, new RegExp(`^the server \\(process ${process.pid}\\)`))
  })
})

describe('the check of memory', () => {
  it('counts what clients and peers may fill', () => {
    const config = parseConfig({ network: 'lan', limits: { bodyMemory: '100MiB', peerBytes: '100MiB' } })
    assert.equal(checkMemory(config, 456 * mebibyte).outcome, 'ok')
    assert.equal(checkMemory(config, 455 * mebibyte).outcome, 'warning')
    const offline = parseConfig({ network: 'offline', limits: { bodyMemory: '100MiB', peerBytes: '100MiB' } })
    assert.equal(checkMemory(offline, 356 * mebibyte).outcome, 'ok')
  })
})

describe('the check of Node.js', () => {
  it('knows which versions are too old', () => {
    const outcomes = ['24.12.0', '25.0.1', '24.11.9', '22.20.0'].map(version => checkNode(version).outcome)
    assert.deepEqual(outcomes, ['ok', 'ok', 'wrong', 'wrong'])
    assert.equal(`>=${oldestNode}`, packageJson.engines.node)
  })
})
