import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DigestProviders } from '../../../../src/ipfs/digests/digest-providers.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'

const digest = digestOf('sha256', Buffer.from('blob'))

interface FakeId {
  name: string
  equals: (other: FakeId) => boolean
  toString: () => string
}

function idOf(name: string): FakeId {
  return { name, equals: other => other.name === name, toString: () => name }
}

/** A node whose DHT knows these providers, and goes on searching then if it is told to */
function providersOf(names: readonly string[], { endless = false } = {}) {
  const asked: string[] = []
  const dialled: string[] = []
  const libp2p = {
    peerId: idOf('self'),
    getConnections: ({ name }: FakeId) => (name === 'connected' ? [{}] : []),
    dial: async (id: FakeId) => {
      dialled.push(id.name)
      if (id.name === 'gone') {
        throw new Error('nobody answers')
      }
    },
    contentRouting: {
      async *findProviders(cid: { toString: () => string }, { signal }: { signal: AbortSignal }) {
        asked.push(cid.toString())
        yield* names.map(name => ({ id: idOf(name) }))
        await (endless ? sleep(60_000, undefined, { signal }) : undefined)
      },
    },
  }
  const providers = new DigestProviders({ node: { libp2p } as never, log: recordingLog() })
  const find = async (signal = AbortSignal.timeout(20_000), what = digest): Promise<string[]> =>
    await Array.fromAsync(providers.find(what, { signal }))
  return { asked, dialled, find }
}

describe('providers of a blob', () => {
  it('are looked for by the CID that its digest has as one block, and connected to', async () => {
    const { asked, dialled, find } = providersOf(['self', 'a', 'gone', 'connected', 'b'])
    assert.deepEqual(await find(), ['a', 'gone', 'connected', 'b'])
    assert.deepEqual(dialled, ['a', 'gone', 'b'])
    assert.equal(asked.length, 1)
    assert.match(asked[0]!, /^bafkrei/)
  })

  it('are at most eight', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `peer ${i}`)
    const { dialled, find } = providersOf(names, { endless: true })
    assert.deepEqual(await find(), names.slice(0, 8))
    assert.deepEqual(dialled, names.slice(0, 8))
  })

  it('are none where the digest is not by SHA-256', async () => {
    const { asked, find } = providersOf(['a'])
    assert.deepEqual(await find(undefined, digestOf('sha512', Buffer.from('blob'))), [])
    assert.deepEqual(asked, [])
  })

  it('are looked for no longer than the signal says, nor than five seconds', async () => {
    const { find } = providersOf(['a'], { endless: true })
    let began = performance.now()
    assert.deepEqual(await find(AbortSignal.timeout(100)), ['a'])
    assert.ok(performance.now() - began < 2000)
    began = performance.now()
    assert.deepEqual(await find(), ['a'])
    assert.ok(performance.now() - began < 8000)
  })

  it('are looked for four blobs at a time, and not at all for others that have no time left then', async () => {
    const { asked, find } = providersOf([], { endless: true })
    const controller = new AbortController()
    const found = Array.from({ length: 6 }, async () => await find(controller.signal))
    await sleep(50)
    assert.equal(asked.length, 4)
    controller.abort()
    assert.deepEqual(await Promise.all(found), Array(6).fill([]))
    assert.equal(asked.length, 4)
  })
})
