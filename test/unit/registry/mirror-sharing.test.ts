import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConnectedMirrors, type Behaviour } from '../../fixtures/connected-mirrors.ts'
import { FakeUpstream } from '../../fixtures/fake-upstream.ts'
import { randomBytes, sha256 } from '../../fixtures/images.ts'
import { addImage } from '../../fixtures/mirrored-image.ts'
import { Random } from '../../fixtures/random.ts'

const mebibyte = 1024 * 1024
const name = 'docker.io/library/alpine'

function slowUpstream(size: number): { upstream: FakeUpstream; layer: Buffer } {
  const upstream = new FakeUpstream()
  const layer = addImage(upstream, 'library/alpine', 'latest', [size]).layers[0]!
  upstream.rate = 10 * mebibyte
  return { upstream, layer }
}

describe('mirrors that fetch the same layer at once', () => {
  it('get about one copy of it from upstream, and the rest from each other', { timeout: 60_000 }, async () => {
    const { layer, upstream } = slowUpstream(32 * mebibyte + 5)
    await using mirrors = await ConnectedMirrors.open(6, upstream)
    const pulled = await Promise.all(mirrors.stores.map(async (_, i) => await mirrors.pull(i, name, sha256(layer))))
    assert.ok(pulled.every(bytes => bytes.equals(layer)))
    assert.ok(upstream.sent < 1.5 * layer.byteLength, `upstream sent ${upstream.sent / layer.byteLength} copies`)
    const duplicate = upstream.sent + mirrors.sent - 6 * layer.byteLength
    assert.ok(duplicate < 0.1 * 6 * layer.byteLength, `${duplicate} bytes came twice`)
  })

  it('get about one copy of it where answers, news and leaves take long', { timeout: 120_000 }, async () => {
    const { layer, upstream } = slowUpstream(10 * mebibyte)
    await using mirrors = await ConnectedMirrors.open(8, upstream)
    const random = new Random('busy')
    mirrors.delay = () => 200 + random.below(600)
    const pulled = await Promise.all(mirrors.stores.map(async (_, i) => await mirrors.pull(i, name, sha256(layer))))
    assert.ok(pulled.every(bytes => bytes.equals(layer)))
    assert.ok(upstream.sent < 2 * layer.byteLength, `upstream sent ${upstream.sent / layer.byteLength} copies`)
  })

  it('end with it although one of them claims everything and delivers nothing', { timeout: 120_000 }, async () => {
    const { layer, upstream } = slowUpstream(10 * mebibyte)
    await using mirrors = await ConnectedMirrors.open(3, upstream)
    mirrors.behaviours.set(0, {
      tell: news => ({ ...news, leaves: [], root: undefined, claims: [{ from: 0, to: 10 }] }),
    })
    const pulled = await Promise.all([0, 1, 2].map(async i => await mirrors.pull(i, name, sha256(layer))))
    assert.ok(pulled.every(bytes => bytes.equals(layer)))
  })

  it('wait for what the others say where all are busy, and do not leave each other out', {
    timeout: 60_000,
  }, async () => {
    const upstream = new FakeUpstream()
    const layers = addImage(upstream, 'library/alpine', 'latest', [mebibyte, 12 * mebibyte]).layers
    await using mirrors = await ConnectedMirrors.open(3, upstream)
    mirrors.delay = () => 80
    upstream.rate = 2 * mebibyte
    const all = async (layer: Buffer): Promise<Buffer[]> =>
      await Promise.all(mirrors.stores.map(async (_, i) => await mirrors.pull(i, name, sha256(layer))))
    // by which each of them learns how long an answer takes
    await all(layers[0]!)
    upstream.rate = 0
    await mirrors.pull(0, name, sha256(layers[1]!))
    const before = upstream.sent
    let [sent, stall]: [number, Promise<unknown> | undefined] = [0, undefined]
    const send = async (bytes: Uint8Array): Promise<Uint8Array> => {
      if (sent++ > 8) {
        stall ??= sleep(1800)
        await stall
      }
      return bytes
    }
    mirrors.behaviours.set(0, { send }).set(1, { send }).set(2, { send })
    const pulled = await all(layers[1]!)
    assert.ok(pulled.every(bytes => bytes.equals(layers[1]!)))
    assert.equal(upstream.sent, before)
  })

  it('end with it where upstream goes away once it has sent everything to some', { timeout: 60_000 }, async () => {
    const { layer, upstream } = slowUpstream(24 * mebibyte)
    await using mirrors = await ConnectedMirrors.open(4, upstream)
    const seen = new Set<number>()
    upstream.beforeChunk = position => {
      seen.add(position)
      if (seen.size === layer.byteLength / upstream.chunkSize) {
        setTimeout(() => {
          upstream.down = 'unreachable'
        }, 100)
      }
    }
    const pulled = await Promise.all(mirrors.stores.map(async (_, i) => await mirrors.pull(i, name, sha256(layer))))
    assert.ok(pulled.every(bytes => bytes.equals(layer)))
  })

  it('end with it where one of them goes away in the middle', { timeout: 60_000 }, async () => {
    const { layer, upstream } = slowUpstream(16 * mebibyte)
    await using mirrors = await ConnectedMirrors.open(3, upstream)
    upstream.beforeChunk = () => {
      if (upstream.sent > layer.byteLength / 2) {
        mirrors.leave(0)
      }
    }
    const pulled = await Promise.all(mirrors.stores.map(async (_, i) => await mirrors.pull(i, name, sha256(layer))))
    assert.ok(upstream.sent > layer.byteLength / 2)
    assert.ok(pulled.every(bytes => bytes.equals(layer)))
  })

  it('fail with what upstream said where nobody has the rest', { timeout: 60_000 }, async () => {
    const { layer, upstream } = slowUpstream(24 * mebibyte)
    await using mirrors = await ConnectedMirrors.open(3, upstream)
    setTimeout(() => {
      upstream.down = 'denied'
    }, 500)
    const pulls = await Promise.allSettled(
      mirrors.stores.map(async (_, i) => await mirrors.pull(i, name, sha256(layer))),
    )
    for (const pull of pulls) {
      assert.equal(pull.status, 'rejected')
      assert.match(String((pull as PromiseRejectedResult).reason), /docker\.io/)
    }
  })

  it('get it right whatever one of them tells and sends, and do not ask that one again', {
    timeout: 60_000,
  }, async () => {
    const { layer, upstream } = slowUpstream(12 * mebibyte)
    await using mirrors = await ConnectedMirrors.open(4, upstream)
    // it fetches other bytes under the same digest, and tells of them truly
    const wrong = Buffer.from(layer)
    wrong.fill(7, 2 * mebibyte, 3 * mebibyte)
    const liar = mirrors.stores[0]!
    await liar.pushBlob('any', wrong)
    const record = (await liar.index.blob(sha256(wrong)))!
    await liar.index.change().putBlob(sha256(layer), record).commit({ durable: false })
    const pull = async (i: number): Promise<Buffer | undefined> =>
      await mirrors.pull(i, name, sha256(layer)).catch(() => undefined)
    const first = await Promise.all([1, 2, 3].map(pull))
    assert.ok(first.every(bytes => bytes === undefined || bytes.equals(layer)))
    await sleep(100)
    for (const i of [1, 2, 3]) {
      assert.ok((await pull(i))?.equals(layer), `mirror ${i}`)
      const report = await mirrors.stores[i]!.fsck().run()
      assert.deepEqual([report.missing, report.damaged], [0, 0])
    }
  })

  it('get it right beside one that tells and sends anything', { timeout: 120_000 }, async () => {
    for (let run = 0; run < 3; run++) {
      const random = new Random(`hostile mirror ${run}`)
      const { layer, upstream } = slowUpstream(6 * mebibyte)
      await using mirrors = await ConnectedMirrors.open(4, upstream)
      mirrors.delay = () => random.below(5)
      mirrors.behaviours.set(0, hostile(random))
      const pull = async (i: number): Promise<Buffer> => await mirrors.pull(i, name, sha256(layer))
      // the hostile one fetches too: it is asked for what it tells
      const pulls = await Promise.allSettled([0, 1, 2, 3].map(pull))
      for (const [i, pulled] of pulls.entries()) {
        if (i > 0) {
          assert.ok(
            pulled.status === 'fulfilled' ? pulled.value.equals(layer) : (pulled.reason as Error).name === 'OciError',
            `run ${run}, mirror ${i}: ${pulled.status === 'fulfilled' ? 'wrong bytes' : String(pulled.reason)}`,
          )
        }
      }
      for (const i of [1, 2, 3]) {
        const again = await pull(i).catch((err: unknown) => err)
        assert.ok(Buffer.isBuffer(again) && again.equals(layer), `run ${run}, mirror ${i}: ${String(again)}`)
        const report = await mirrors.stores[i]!.fsck().run()
        assert.deepEqual([report.missing, report.damaged], [0, 0])
      }
    }
  })
})

/** Tells of leaves that there are not, claims what it does not fetch, and delivers late, nothing or something else */
function hostile(random: Random): Behaviour {
  const other = leafHash(randomBytes(mebibyte, 'other'))
  const [lies, claims, whole] = [random.chance(0.5), random.chance(0.5), random.chance(0.3)]
  const root = 'bafybeihntvt5jkdp32qt36ooilcjgmln3c2jxnov4brhzpuke35dtmwa5m'
  return {
    tell: news => ({
      ...news,
      leaves: lies ? news.leaves.map(({ first }) => ({ first, hashes: other })) : news.leaves,
      claims: claims ? [{ from: 0, to: 6 }] : news.claims,
      root: whole ? root : news.root,
    }),
    send: async bytes => {
      await sleep(random.pick([0, 0, 20, 2000]))
      if (random.chance(0.3)) {
        throw new Error('no')
      }
      return random.chance(0.2) ? bytes.subarray(0, 5) : bytes
    },
  }
}

function leafHash(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}
