import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { CID } from 'multiformats/cid'
import { originOf } from '../../../../src/ipfs/blocks/block-origins.ts'
import { UncheckedBlocks } from '../../../../src/ipfs/blockstore/unchecked-blocks.ts'
import { BlockSet } from '../../../../src/ipfs/blocks/block-set.ts'
import { DurableBlockstore } from '../../../../src/ipfs/blockstore/blockstore.ts'
import type { BlockSession } from '../../../../src/ipfs/node/patches/bounded-bitswap.ts'
import type { IpfsNode } from '../../../../src/ipfs/node/node.ts'
import type { Gateways } from '../../../../src/ipfs/retrieval/gateways.ts'
import { Retrieval, type RetrievalComponents } from '../../../../src/ipfs/retrieval/retrieval.ts'
import { DagBlocks } from '../../../fixtures/dag-blocks.ts'
import { leafBlock } from '../../../fixtures/leaf-block.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { readAll } from '../../../fixtures/registry.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

type Fetch = (cid: CID, options: { signal: AbortSignal }) => Promise<Uint8Array>

const { cid, bytes } = await leafBlock(Buffer.from('from elsewhere'))
const text = 'from elsewhere'
let directory: TemporaryDirectory
let blockstore: DurableBlockstore
/** Blocks that peers were told of */
let announced: string[]
/** Bytes of the blocks that can be fetched again */
let evictable: number

beforeEach(async () => {
  announced = []
  evictable = 0
  directory = await temporaryDirectory('retrieval')
  const onEvictable = (size: number): void => {
    evictable += size
  }
  blockstore = new DurableBlockstore(directory.path, { fsync: false, recent: 0, onEvictable })
  await blockstore.open()
})
afterEach(async () => {
  await blockstore.close()
  await directory[Symbol.asyncDispose]()
})

/** What a gateway has, or peers */
function retrievalFrom(
  source: { gateway?: Fetch; peers?: Fetch },
  timeout = 5000,
  slots?: RetrievalComponents['slots'],
  withheld?: RetrievalComponents['withheld'],
): Retrieval {
  const gateways = { isEmpty: source.gateway === undefined, fetch: source.gateway } as unknown as Gateways
  const session: BlockSession = {
    retrieve:
      source.peers ??
      (async (_cid, { signal }) =>
        await sleep(60_000, undefined, { signal }).then(() => assert.fail('nobody stops it'))),
  }
  const node = {
    peerCount: 1,
    libp2p: undefined,
    createBlockSession: () => session,
    announceBlock: async (cid: CID) => {
      announced.push(cid.toString())
    },
  } as unknown as IpfsNode
  return new Retrieval({ blockstore, node, gateways, slots, withheld, log: recordingLog() }, { timeout })
}

async function read(retrieval: Retrieval, signal?: AbortSignal): Promise<string> {
  return String(await readAll(retrieval.read(cid.toString(), { signal })))
}

/** Slots of clients, with how many are taken */
function countedSlots(): NonNullable<RetrievalComponents['slots']> & { taken: number } {
  const slots = {
    taken: 0,
    take: () => {
      slots.taken++
      return { [Symbol.dispose]: () => slots.taken-- }
    },
  }
  return slots
}

/** No block that others could deliver finds room */
function fill(): void {
  blockstore.space.reserve = async () => {
    throw Object.assign(new Error('full'), { name: 'StorageFullError' })
  }
}

describe('a block that comes from elsewhere', () => {
  it('is kept, and peers that wait for it get it', async () => {
    let fetches = 0
    const retrieval = retrievalFrom({
      gateway: async () => {
        fetches++
        return bytes
      },
    })
    assert.equal(await read(retrieval), text)
    assert.equal(await read(retrieval), text)
    assert.equal(fetches, 1)
    assert.deepEqual(announced, [cid.toString()])
    assert.ok(await blockstore.has(cid))
  })

  it('is fetched although it is here, where it is withheld', async () => {
    await blockstore.put(cid, bytes)
    const withheld = { isWithheld: async (hash: Uint8Array) => Buffer.compare(hash, cid.multihash.digest) === 0 }
    let fetches = 0
    const gateway = async (): Promise<Uint8Array> => {
      fetches++
      return bytes
    }
    assert.equal(await read(retrievalFrom({ gateway }, 5000, undefined, withheld)), text)
    assert.equal(fetches, 1)
    await assert.rejects(read(retrievalFrom({}, 50, undefined, withheld)), { name: 'UnavailableError' })
  })

  it('tells where it came from, and that it was here the next time', async () => {
    for (const [source, origin] of [
      [{ peers: async () => bytes }, 'peer'],
      [{ gateway: async () => bytes }, 'gateway'],
    ] as const) {
      const retrieval = retrievalFrom(source)
      const originsOf = async (): Promise<unknown[]> =>
        (await Array.fromAsync(retrieval.read(cid.toString()))).map(chunk => originOf(chunk))
      assert.deepEqual([await originsOf(), await originsOf()], [[origin], [undefined]])
      await blockstore.delete(cid)
    }
  })

  it('comes from peers as well', async () => {
    const retrieval = retrievalFrom({ peers: async () => bytes })
    assert.equal(await read(retrieval), text)
    assert.deepEqual(retrieval.fetched, { peers: 1, gateways: 0 })
  })

  it('counts as one that can be fetched again', async () => {
    await read(retrievalFrom({ gateway: async () => bytes }))
    assert.equal(evictable, bytes.byteLength)
  })

  it('is read where there is no room to keep it, and nobody is told that it is here', async () => {
    fill()
    const retrieval = retrievalFrom({ gateway: async () => bytes })
    assert.equal(await read(retrieval), text)
    assert.deepEqual(announced, [])
    assert.equal(await blockstore.has(cid), false)
  })

  it('has as much room as a push where it repairs what is here', async () => {
    const { reserve } = blockstore.space
    blockstore.space.reserve = async (directory, size, options = {}) =>
      options.evictable === true
        ? await Promise.reject(Object.assign(new Error('full'), { name: 'StorageFullError' }))
        : await reserve.call(blockstore.space, directory, size, options)
    await retrievalFrom({ gateway: async () => bytes }).fetchBlock(cid)
    assert.ok(await blockstore.has(cid))
  })

  const endings: Record<string, (chunks: AsyncGenerator<Uint8Array>) => Promise<unknown>> = {
    ends: async chunks => await chunks.next(),
    'is left by its client': async chunks => await chunks.return(undefined),
    fails: async chunks => await chunks.throw(new Error('the client has gone')).catch(() => {}),
  }
  for (const [what, end] of Object.entries(endings)) {
    it(`takes a slot of the client, which is free when the read ${what}`, async () => {
      const slots = countedSlots()
      const retrieval = retrievalFrom({ gateway: async () => bytes }, 5000, slots)
      const chunks = retrieval.read(cid.toString(), { client: '192.0.2.1' })
      await chunks.next()
      assert.equal(slots.taken, 1)
      await end(chunks)
      assert.equal(slots.taken, 0)
    })
  }

  it('replaces a damaged one', async () => {
    await blockstore.put(cid, bytes)
    await writeFile(new UncheckedBlocks(directory.path).path(cid), 'damaged')
    assert.equal(await read(retrievalFrom({ gateway: async () => bytes })), text)
    assert.deepEqual(Buffer.from(await blockstore.read(cid)), bytes)
  })

  it('fails its reader where the disk fails, and is not fetched for that', async () => {
    blockstore.read = async () => await Promise.reject(Object.assign(new Error('EMFILE'), { code: 'EMFILE' }))
    await assert.rejects(read(retrievalFrom({ gateway: async () => bytes })), { code: 'EMFILE' })
  })

  it('stays while garbage is collected that began before it was read', async () => {
    await blockstore.put(cid, bytes)
    using _collection = blockstore.beginCollection()
    assert.equal(await read(retrievalFrom({})), text)
    await blockstore.sweep(new BlockSet(), { recent: 0 })
    assert.ok(await blockstore.has(cid))
  })
})

describe('readers of the same block', () => {
  it('share one fetch, which goes on when one of them goes', async () => {
    const deliver = Promise.withResolvers<Uint8Array>()
    const leaving = new AbortController()
    let fetches = 0
    const retrieval = retrievalFrom({
      gateway: async (_cid, { signal }) => {
        fetches++
        signal.addEventListener('abort', () => {
          deliver.reject(signal.reason)
        })
        return await deliver.promise
      },
    })
    let lookedFor = 0
    const { read: readBlock } = blockstore
    blockstore.read = async (...args) =>
      await readBlock.apply(blockstore, args).finally(() => {
        lookedFor++
      })
    const first = read(retrieval, leaving.signal)
    const second = read(retrieval)
    // the second shares the fetch once it has not found the block here
    await turns(() => fetches > 0 && lookedFor === 2)
    await setImmediate()
    leaving.abort()
    await assert.rejects(first, { name: 'AbortError' })
    deliver.resolve(bytes)
    assert.equal(await second, text)
    assert.equal(fetches, 1)
  })

  it('do not inherit the end of one who has just gone', async () => {
    let calls = 0
    // the first call lasts until it is aborted, and a little longer
    const retrieval = retrievalFrom({
      gateway: async (_cid, { signal }) => {
        calls++
        if (calls > 1) {
          return bytes
        }
        await sleep(60_000, undefined, { signal }).catch(() => {})
        await sleep(20)
        return signal.throwIfAborted() as never
      },
    })
    const leaving = new AbortController()
    const first = read(retrieval, leaving.signal)
    await turns(() => calls > 0)
    leaving.abort()
    await assert.rejects(first, { name: 'AbortError' })
    assert.equal(await read(retrieval), text)
    assert.deepEqual(retrieval.fetched, { peers: 0, gateways: 1 })
  })
})

/** Lets everything else go on until something holds; timers of the test may stand still */
async function turns(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; !holds(); ) {
    assert.ok(Date.now() < end, 'nothing goes on')
    await setImmediate()
  }
}

/** A clock that the test moves: of timers, and of what is measured with them */
function clockOf(t: TestContext): { advance: (ms: number) => void } {
  let now = performance.now()
  t.mock.method(performance, 'now', () => now)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  return {
    advance: ms => {
      now += ms
      t.mock.timers.tick(ms)
    },
  }
}

describe('the timeout', () => {
  const timeout = 5000

  it('is that of one block after the other, not of the whole file', async t => {
    const elsewhere = new DagBlocks()
    const leaves = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => ({ cid: await elsewhere.leaf(Buffer.of(i)), size: 1 })),
    )
    const root = await elsewhere.file(leaves)
    // a slow line, by which one block comes after the other
    const asked: Array<() => void> = []
    const retrieval = retrievalFrom(
      {
        gateway: async (cid, { signal }) =>
          await new Promise((resolve, reject) => {
            signal.addEventListener('abort', () => {
              reject(signal.reason)
            })
            asked.push(() => {
              resolve(elsewhere.read(cid))
            })
          }),
      },
      timeout,
    )
    const clock = clockOf(t)
    let state = 'running'
    const bytes = readAll(retrieval.read(root.toString())).finally(() => {
      state = 'over'
    })
    bytes.catch(() => {})
    for (let delivered = 0; state === 'running'; delivered++) {
      await turns(() => asked.length > 0 || state === 'over')
      clock.advance(timeout / 10)
      asked.shift()?.()
      await turns(() => retrieval.fetched.gateways > delivered || state === 'over')
    }
    assert.deepEqual(await bytes, Buffer.from(leaves.map((_, i) => i)))
  })

  it('ends a read for which nothing comes', async t => {
    let asked = false
    const retrieval = retrievalFrom(
      {
        gateway: async (_cid, { signal }) => {
          asked = true
          return await new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              reject(signal.reason)
            })
          })
        },
      },
      timeout,
    )
    const clock = clockOf(t)
    let outcome: unknown
    read(retrieval).catch((err: unknown) => {
      outcome = err
    })
    await turns(() => asked)
    for (let i = 0; i < 100 && outcome === undefined; i++) {
      clock.advance(timeout / 10)
      await setImmediate()
    }
    assert.equal((outcome as Error).name, 'UnavailableError')
  })
})
