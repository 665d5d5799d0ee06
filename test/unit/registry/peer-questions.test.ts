import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { raceSignal } from 'race-signal'
import { trusted } from '../../../src/access/caller.ts'
import type { DigestQuestions } from '../../../src/ipfs/digests/digest-client.ts'
import { BlobPeers, type BlobPeersComponents } from '../../../src/registry/mirror/fetch/blob-peers.ts'
import { FakeUpstream } from '../../fixtures/fake-upstream.ts'
import { sha256 } from '../../fixtures/images.ts'
import { addImage } from '../../fixtures/mirrored-image.ts'
import { recordingLog } from '../../fixtures/recording-log.ts'
import { readAll, TestRegistry } from '../../fixtures/registry.ts'
import { until } from '../../fixtures/until.ts'

const mebibyte = 1024 * 1024
const name = 'docker.io/library/alpine'

/** Peers that know nothing, and note that they are asked */
class Peers {
  readonly asked: string[] = []
  readonly #listeners = new Set<(peer: string) => void>()
  connected: string[]

  constructor(...connected: string[]) {
    this.connected = connected
  }

  connect(peer: string): void {
    this.connected.push(peer)
    this.#listeners.forEach(listener => {
      listener(peer)
    })
  }

  components(more: Partial<BlobPeersComponents> = {}): BlobPeersComponents {
    const { asked } = this
    const questions: DigestQuestions = {
      self: 'self',
      peers: () => this.connected,
      onPeer: listener => {
        this.#listeners.add(listener)
        return () => this.#listeners.delete(listener)
      },
      async *ask(peer) {
        asked.push(peer)
        yield* []
      },
    }
    const fetch = async (): Promise<never> => {
      throw new Error('nobody has it')
    }
    return { questions, blocks: { fetch }, log: recordingLog(), ...more }
  }
}

async function pull(stores: TestRegistry, layer: Buffer): Promise<Buffer> {
  const repository = await stores.registry.repository(name, trusted)
  await repository.manifest({ tag: 'latest' })
  return await readAll((await repository.blob(sha256(layer))).read())
}

function slowUpstream(): { upstream: FakeUpstream; layer: Buffer; go: () => void } {
  const upstream = new FakeUpstream()
  const { promise, resolve } = Promise.withResolvers<void>()
  upstream.beforeChunk = async () => await promise
  return { upstream, layer: addImage(upstream, 'library/alpine', 'latest', [3 * mebibyte]).layers[0]!, go: resolve }
}

describe('a fetch', () => {
  const strangersAlone = { mayAsk: () => false }

  /** Looks for providers for as long as `found` waits, and finds one that connects then */
  function searching(peers: Peers, found: Promise<void>, looked: string[]): BlobPeersComponents['providers'] {
    return {
      async *find(digest) {
        looked.push(digest)
        yield 'provider'
        await found
        peers.connect('provider')
      },
    }
  }

  it('asks a provider although it is a stranger, and waits for it where upstream is down', async () => {
    const upstream = new FakeUpstream()
    const layer = addImage(upstream, 'library/alpine', 'latest', [3 * mebibyte]).layers[0]!
    upstream.beforeChunk = () => {
      throw upstream.fail('denied')
    }
    const [peers, looked, found] = [new Peers('stranger'), [] as string[], Promise.withResolvers<void>()]
    const providers = searching(peers, found.promise, looked)
    await using stores = await TestRegistry.open({
      upstreams: [upstream],
      peers: peers.components({ ...strangersAlone, providers }),
    })
    let failure: unknown
    const pulled = pull(stores, layer).catch((err: unknown) => {
      failure = err
    })
    await until('it was asked for', () => upstream.asked('blob') > 0)
    await sleep(500)
    assert.equal(failure, undefined)
    found.resolve()
    await pulled
    assert.match(String(failure), /docker.io/)
    assert.deepEqual([looked, peers.asked], [[sha256(layer)], ['provider']])
  })

  it('looks for no providers of what strangers may not pull, nor of what has one leaf', async () => {
    for (const [size, isPublic, expected] of [
      [3 * mebibyte, true, 1],
      [3 * mebibyte, false, 0],
      [mebibyte, true, 0],
    ] as const) {
      const upstream = new FakeUpstream()
      const layer = addImage(upstream, 'library/alpine', 'latest', [size]).layers[0]!
      const [peers, looked] = [new Peers(), [] as string[]]
      const providers = searching(peers, Promise.resolve(), looked)
      await using stores = await TestRegistry.open({
        upstreams: [upstream],
        peers: peers.components({
          ...strangersAlone,
          providers,
          isPublic: repository => isPublic && repository === name,
        }),
      })
      assert.deepEqual(await pull(stores, layer), layer)
      assert.equal(looked.length, expected)
    }
  })

  it('waits for what a peer says at first, and once for one that says nothing', { timeout: 60_000 }, async () => {
    const upstream = new FakeUpstream()
    const { layers } = addImage(upstream, 'library/alpine', 'latest', [mebibyte, 2 * mebibyte, 3 * mebibyte])
    const [peers, answers, began] = [new Peers('busy', 'dead'), Promise.withResolvers<void>(), performance.now()]
    const components = peers.components({ firstAnswers: 60_000 })
    components.questions.ask = async function* (peer, _, { signal }) {
      await (peer === 'busy' ? answers.promise : raceSignal(new Promise(() => {}), signal))
      yield* []
    }
    await using stores = await TestRegistry.open({ upstreams: [upstream], peers: components })
    const first = pull(stores, layers[0]!)
    await sleep(500)
    assert.equal(upstream.asked('blob'), 0)
    // `dead` is waited for no longer once its time is over
    components.firstAnswers = 1
    answers.resolve()
    assert.deepEqual(await first, layers[0])
    components.firstAnswers = 60_000
    assert.deepEqual(await pull(stores, layers[1]!), layers[1])
    assert.deepEqual(await pull(stores, layers[2]!), layers[2])
    assert.ok(performance.now() - began < 50_000)
  })

  it('waits the longer for peers, the later they answer and the busier this node is', () => {
    const peers = new BlobPeers(new Peers('friend').components())
    assert.deepEqual([peers.firstAnswers(), peers.firstAnswers(undefined, 0.9)], [5000, 30_000])
    assert.deepEqual(
      [5, 1000, 4000].map(time => peers.firstAnswers(time)),
      [100, 3000, 5000],
    )
    assert.equal(peers.firstAnswers(4000, 0.9), 12_000)
    peers.answered(300)
    assert.equal(peers.firstAnswers(), 900)
  })

  it('asks the connected peers that may be asked, and those that connect meanwhile', async () => {
    const { go, layer, upstream } = slowUpstream()
    const peers = new Peers('friend', 'stranger')
    const mayAsk = (peer: string): boolean => !peer.includes('stranger')
    await using stores = await TestRegistry.open({ upstreams: [upstream], peers: peers.components({ mayAsk }) })
    const pulled = pull(stores, layer)
    await until('it has begun', () => upstream.asked('blob') > 0)
    peers.connect('another stranger')
    peers.connect('late friend')
    // a stranger that asks for the blob is told, but not asked
    stores.mirroring!.fetches.answer('third stranger', sha256(layer), () => true)
    stores.mirroring!.fetches.answer('third friend', sha256(layer), () => true)
    go()
    assert.deepEqual(await pulled, layer)
    assert.deepEqual(peers.asked, ['friend', 'late friend', 'third friend'])
  })
})
