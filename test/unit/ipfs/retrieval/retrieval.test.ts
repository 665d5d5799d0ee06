import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CID } from 'multiformats/cid'
import { DurableBlockstore } from '../../../../src/ipfs/blockstore/blockstore.ts'
import { leafBlock } from '../../../fixtures/leaf-block.ts'
import type { Gateways } from '../../../../src/ipfs/retrieval/gateways.ts'
import { IpfsNode } from '../../../../src/ipfs/node/node.ts'
import { Retrieval } from '../../../../src/ipfs/retrieval/retrieval.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'

it('a reader does not inherit the end of one who has just gone', async () => {
  await using directory = await temporaryDirectory('retrieval')
  const blockstore = new DurableBlockstore(directory.path, { fsync: false })
  await blockstore.open()
  const log = recordingLog()
  const { bytes, cid } = await leafBlock(Buffer.from('from elsewhere'))
  let calls = 0
  // the first call lasts until it is aborted, and a little longer
  const gateways = {
    isEmpty: false,
    fetch: async (_cid: CID, { signal }: { signal: AbortSignal }) => {
      calls++
      if (calls > 1) {
        return bytes
      }
      await sleep(60_000, undefined, { signal }).catch(() => {})
      await sleep(20)
      return signal.throwIfAborted() as never
    },
  } as unknown as Gateways
  const node = new IpfsNode(
    { blockstore, datastore: undefined as never, log },
    { network: 'offline', host: '127.0.0.1', peers: [], bootstrap: [], announce: [] },
  )
  const retrieval = new Retrieval({ blockstore, node, gateways, log }, { timeout: 5000 })
  const read = async (signal?: AbortSignal): Promise<string> =>
    Buffer.concat(await Array.fromAsync(retrieval.read(cid.toString(), { signal }))).toString()

  const leaving = new AbortController()
  const first = read(leaving.signal)
  while (calls === 0) {
    await sleep(1)
  }
  leaving.abort()
  await assert.rejects(first, { name: 'AbortError' })

  assert.equal(await read(), 'from elsewhere')
  assert.deepEqual(retrieval.fetched, { peers: 0, gateways: 1 })
})
