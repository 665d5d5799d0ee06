import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CID } from 'multiformats/cid'
import type { IpfsNode } from '../../../../src/ipfs/node/node.ts'
import { createProvider } from '../../../../src/ipfs/node/provider.ts'
import { randomBlock } from '../../../fixtures/ipfs-node.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { until } from '../../../fixtures/until.ts'

test('only roots that every peer may fetch are provided, by the rules of the moment', async () => {
  const [open, secret] = [randomBlock(10).cid.toString(), randomBlock(10).cid.toString()]
  const provided: string[] = []
  const allowed = new Set([open])
  const node = {
    peerCount: 1,
    helia: {
      routing: {
        provide: async (cid: CID) => {
          provided.push(cid.toString())
        },
      },
    },
  } as unknown as IpfsNode
  const provider = createProvider({ node, mayProvide: cid => allowed.has(cid.toString()), log: recordingLog() })
  await provider.start()
  try {
    provider.add(secret)
    provider.add(open)
    await until('the open one is provided', () => provided.length === 1)
    allowed.add(secret)
    provider.add(secret)
    await until('the other one is provided', () => provided.length === 2)
    assert.deepEqual(provided, [open, secret])
  } finally {
    await provider.stop()
  }
})
