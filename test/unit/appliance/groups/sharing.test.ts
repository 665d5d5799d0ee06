import assert from 'node:assert/strict'
import { it } from 'node:test'
import { buildSharing } from '../../../../src/appliance/groups/sharing.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'

it('a mirror asks every connected peer what it has, but strangers of the public network', () => {
  for (const [network, peer, mayAsk] of [
    ['lan', 'stranger', true],
    ['private', 'stranger', true],
    ['public', 'stranger', false],
    ['public', 'configured', true],
    ['public', 'of a rule', true],
  ] as const) {
    const { peers } = buildSharing({
      config: { network },
      index: {},
      node: { isConfigured: (id: string) => id === 'configured' },
      knowsPeer: (id: string) => id === 'of a rule',
      log: recordingLog(),
    } as never)
    assert.equal(peers.mayAsk?.(peer), mayAsk, `${network} ${peer}`)
  }
})
