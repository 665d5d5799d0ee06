import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { MemoryDatastore } from 'datastore-core'
import { Names } from '../../../../src/ipfs/names/names.ts'
import { ipfsNode } from '../../../fixtures/ipfs-node.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'

const cids = [
  'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
  'bafybeifdu6szz4rerwwo577ttks42zqyurteguvwp7zrztmumxxx3b62ma',
] as const
const day = 24 * 60 * 60 * 1000

/** The names of a node without a network */
async function start(datastore = new MemoryDatastore()): Promise<Names & AsyncDisposable> {
  const { node } = ipfsNode({ network: 'offline' }, { datastore })
  await node.start()
  const names = new Names(
    { node, datastore, log: recordingLog() },
    { network: 'offline', dns: ['127.0.0.1:1'], republish: 60_000 },
  )
  await names.start()
  return Object.assign(names, {
    [Symbol.asyncDispose]: async () => {
      await names.stop()
      await node.stop()
    },
  })
}

describe('our own name, without a network', () => {
  it('resolves to what was published last', async () => {
    await using names = await start()
    const { name, sequence } = await names.publish(cids[0], ['cids'])
    assert.match(name, /^k51/)
    assert.equal(name, await names.ownName())
    assert.deepEqual(await names.resolve(`/ipns/${name}/team`), { cid: cids[0], path: ['cids', 'team'], ttl: 60 })
    assert.deepEqual(await names.publish(cids[1]), { name, sequence: sequence + 1 })
    assert.deepEqual(await names.resolve(name), { cid: cids[1], path: [], ttl: 60 })
  })

  it('keeps its key and its sequence over restarts, and after its record has expired', async () => {
    const datastore = new MemoryDatastore()
    const published = []
    for (const cid of [cids[0], cids[0], cids[1]]) {
      await using names = await start(datastore)
      published.push(await names.publish(cid))
    }
    const { name } = published[0]!
    assert.deepEqual(published, [
      { name, sequence: 1 },
      { name, sequence: 1 },
      { name, sequence: 2 },
    ])

    mock.timers.enable({ apis: ['Date'], now: Date.now() + 30 * day })
    try {
      await using names = await start(datastore)
      assert.equal((await names.resolve(name)).cid, cids[1])
      assert.deepEqual(await names.publish(cids[0]), { name, sequence: 3 })
    } finally {
      mock.timers.reset()
    }
  })

  it('gives changes that come together a number each', async () => {
    await using names = await start()
    const published = await Promise.all([cids[0], cids[1], cids[0]].map(async cid => await names.publish(cid)))
    assert.deepEqual(
      published.map(({ sequence }) => sequence),
      [1, 2, 3],
    )
  })
})

describe('other names, without a network', () => {
  it('that are none are refused', async () => {
    await using names = await start()
    await assert.rejects(names.resolve('nothing'), { name: 'InvalidNameError' })
  })

  it('can not be told', async () => {
    await using names = await start()
    await assert.rejects(names.resolve('k51qzi5uqu5dl8hs3xtt2ay8lhf02v613hb4av3wr80owedc7llltxsl8p5ud2'), {
      name: 'UnavailableError',
    })
    await assert.rejects(names.resolve('example.com'), { name: 'UnavailableError' })
  })

  it('are content already where they are CIDs', async () => {
    await using names = await start()
    assert.deepEqual(await names.resolve(`/ipfs/${cids[0]}/a`), { cid: cids[0], path: ['a'], ttl: 31_536_000 })
  })
})
