import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConnectedMirrors } from '../../fixtures/connected-mirrors.ts'
import { FakeUpstream } from '../../fixtures/fake-upstream.ts'
import { sha256 } from '../../fixtures/images.ts'
import { addImage } from '../../fixtures/mirrored-image.ts'

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
})
