import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PrefetchOptions, PrefetchResult } from '../../../src/registry/mirror/prefetch/prefetcher.ts'
import type { PrefetchProgress } from '../../../src/registry/mirror/prefetch/prefetch-progress.ts'
import { ownPlatform } from '../../../src/registry/mirror/prefetch/own-platform.ts'
import { UpstreamError } from '../../../src/registry/upstream.ts'
import { formatPlatform } from '../../../src/oci/manifest/platform.ts'
import { FakeUpstream } from '../../fixtures/fake-upstream.ts'
import { sha256 } from '../../fixtures/images.ts'
import { descriptorOf, encode, ociIndex, ociManifest } from '../../fixtures/manifests.ts'
import { addImage, type MirroredImage } from '../../fixtures/mirrored-image.ts'
import { TestRegistry } from '../../fixtures/registry.ts'
import { until } from '../../fixtures/until.ts'

const mebibyte = 1024 * 1024
const alpine = 'docker.io/library/alpine'
const platforms = ['linux/amd64', 'linux/arm64', 'linux/arm/v7']

async function prefetch(
  stores: TestRegistry,
  names: readonly string[],
  options: Partial<PrefetchOptions> = {},
): Promise<PrefetchResult> {
  const signal = AbortSignal.timeout(20_000)
  return await stores.mirroring!.prefetcher.prefetch(names, { signal, ...options })
}

async function isHere(stores: TestRegistry, name: string, { config, layers }: MirroredImage): Promise<boolean> {
  const linked = [config, ...layers].map(async blob => await stores.index.isLinked(name, sha256(blob)))
  return (await Promise.all(linked)).every(Boolean)
}

/** An index with an image for each platform, and an attestation as BuildKit adds it */
function addIndex(upstream: FakeUpstream, repository: string, tag: string): Map<string, MirroredImage> {
  const images = new Map<string, MirroredImage>()
  const manifests = [...platforms, 'unknown/unknown'].map(text => {
    const image = addImage(upstream, repository, `${tag}-${text.replaceAll('/', '-')}`, [1000], `${tag} ${text}`)
    images.set(text, image)
    const [os, architecture, variant] = text.split('/')
    return { ...descriptorOf(image.manifest, ociManifest), platform: { os, architecture, variant } }
  })
  upstream.addManifest(repository, tag, encode({ schemaVersion: 2, mediaType: ociIndex, manifests }), ociIndex)
  return images
}

describe('a prefetch', () => {
  it('has an image here before anybody asks for it, and nothing comes twice', async () => {
    const upstream = new FakeUpstream()
    const image = addImage(upstream, 'library/alpine', '3', [3 * mebibyte + 5, 100])
    await using stores = await TestRegistry.open({ upstreams: [upstream] })
    const size = image.config.byteLength + 3 * mebibyte + 105
    const { images, problems } = await prefetch(stores, [`${alpine}:3`])
    assert.deepEqual(images, [
      {
        name: `${alpine}:3`,
        digest: image.digest,
        manifests: 1,
        blobs: 3,
        size,
        fetched: size,
        sources: { upstream: size },
      },
    ])
    assert.deepEqual(problems, [])
    assert.ok(await isHere(stores, alpine, image))
    const again = await prefetch(stores, ['docker.io/alpine:3'])
    assert.deepEqual([again.images[0]?.fetched, again.images[0]?.size], [0, size])
    assert.deepEqual(
      [upstream.asked('GET'), upstream.asked('HEAD'), upstream.asked('blob'), upstream.sent],
      [1, 1, 3, size],
    )
  })

  it('gets the platforms that are wanted: this one, those of the upstream, or those that are named', async () => {
    const own = formatPlatform(ownPlatform)
    for (const [configured, named, expected] of [
      [undefined, undefined, [own]],
      [['linux/arm'], undefined, ['linux/arm/v7']],
      [['linux/arm'], ['linux/amd64', 'linux/arm64'], ['linux/amd64', 'linux/arm64']],
      [undefined, ['all'], [...platforms, 'unknown/unknown']],
    ] as const) {
      const upstream = Object.assign(new FakeUpstream(), { platforms: configured })
      const images = addIndex(upstream, 'library/alpine', '3')
      await using stores = await TestRegistry.open({ upstreams: [upstream] })
      const { problems } = await prefetch(stores, [`${alpine}:3`], { platforms: named })
      assert.deepEqual(problems, [])
      const here: string[] = []
      for (const [platform, image] of images) {
        if (await isHere(stores, alpine, image)) {
          here.push(platform)
        }
      }
      assert.deepEqual(here, expected)
    }
  })

  it('says what an image has that has nothing for the platform', async () => {
    const upstream = new FakeUpstream()
    addIndex(upstream, 'library/alpine', '3')
    await using stores = await TestRegistry.open({ upstreams: [upstream] })
    const { problems } = await prefetch(stores, [`${alpine}:3`], { platforms: ['linux/s390x'] })
    const reason = `the image has nothing for linux/s390x: it has ${platforms.join(', ')}`
    assert.deepEqual(problems, [{ name: `${alpine}:3`, reason }])
    await assert.rejects(prefetch(stores, [`${alpine}:3`], { platforms: ['amd64'] }), { code: 'REQUEST_INVALID' })
  })

  it('takes a digest, globs of tags, and globs of the repositories that are here', async () => {
    const upstream = new FakeUpstream()
    for (const tag of ['3.1', '3.2', 'edge', 'latest']) {
      addImage(upstream, 'library/alpine', tag, [100])
    }
    const pinned = addImage(upstream, 'team/app', 'v1', [100])
    await using stores = await TestRegistry.open({ upstreams: [upstream] })
    const namesOf = async (...names: string[]): Promise<string[]> =>
      (await prefetch(stores, names)).images.map(({ name }) => name)
    assert.deepEqual(await namesOf(`${alpine}:3.*`), [`${alpine}:3.1`, `${alpine}:3.2`])
    assert.deepEqual(await namesOf(alpine), [`${alpine}:latest`])
    const byDigest = `docker.io/team/app@${pinned.digest}`
    assert.deepEqual(await namesOf(byDigest), [byDigest])
    assert.deepEqual(await namesOf('docker.io/**'), [`${alpine}:3.1`, `${alpine}:3.2`, `${alpine}:latest`])
    assert.deepEqual(await namesOf('docker.io/library/*:edge'), [`${alpine}:edge`])
    assert.deepEqual((await prefetch(stores, [`${alpine}:9*`])).problems, [
      { name: `${alpine}:9*`, reason: 'no image matches' },
    ])
  })

  it('names what it could not have, and gets the rest', async () => {
    const upstream = new FakeUpstream()
    const denied = Object.assign(new FakeUpstream('quay.io'), { down: 'denied' as const })
    addImage(upstream, 'library/alpine', '3', [100])
    await using stores = await TestRegistry.open({ upstreams: [upstream, denied] })
    const { images, problems } = await prefetch(stores, [`${alpine}:4`, 'quay.io/a/b', `${alpine}:3`])
    assert.deepEqual(
      images.map(({ name }) => name),
      [`${alpine}:3`],
    )
    assert.deepEqual(problems, [
      { name: `${alpine}:4`, reason: 'docker.io has no such image' },
      { name: 'quay.io/a/b:latest', reason: 'quay.io does not deliver (denied)' },
    ])
  })

  it('asks nobody for anything where a name is none', async () => {
    const upstream = new FakeUpstream()
    upstream.mirrored = repository => repository !== 'library/secret'
    await using stores = await TestRegistry.open({ upstreams: [upstream] })
    for (const [name, code] of [
      ['quay.io/a/b', 'NAME_UNKNOWN'],
      ['alpine', 'NAME_UNKNOWN'],
      ['team/app:v1', 'NAME_UNKNOWN'],
      ['docker.io/Alpine', 'NAME_INVALID'],
      [`${alpine}:`, 'TAG_INVALID'],
      [`${alpine}@sha256:1`, 'DIGEST_INVALID'],
    ] as const) {
      await assert.rejects(prefetch(stores, [`${alpine}:3`, name]), { code }, name)
    }
    assert.deepEqual(upstream.requests, [])
    assert.match(
      (await prefetch(stores, ['docker.io/library/secret'])).problems[0]!.reason,
      /leaves this repository out/,
    )
  })

  it('asks whether a tag has moved however lately that was asked, and gets only what is new', async () => {
    const upstream = new FakeUpstream()
    addImage(upstream, 'library/alpine', '3', [mebibyte, 100], 'shared')
    await using stores = await TestRegistry.open({ upstreams: [upstream] })
    await prefetch(stores, [`${alpine}:3`])
    const { layers } = addImage(upstream, 'library/alpine', '3', [mebibyte, 200], 'shared')
    const { images } = await prefetch(stores, [`${alpine}:3`])
    assert.deepEqual([images[0]?.blobs, images[0]?.fetched], [3, layers[1]!.byteLength])
  })

  it('fetches no image that the cache would not keep', async () => {
    const upstream = new FakeUpstream()
    addImage(upstream, 'library/alpine', '3', [mebibyte])
    await using stores = await TestRegistry.open({ upstreams: [upstream], mirror: { cacheBytes: mebibyte } })
    const { problems } = await prefetch(stores, [`${alpine}:3`])
    assert.match(
      problems[0]!.reason,
      /would be evicted again: it has \d+ bytes, and cache.maxBytes has room for 1048576/,
    )
    assert.equal(upstream.sent, 0)
  })

  it('is refused while a backup is being restored', async () => {
    const upstream = new FakeUpstream()
    await using stores = await TestRegistry.open({ upstreams: [upstream] })
    using _restoring = stores.condition.beginRestore()
    await assert.rejects(prefetch(stores, [`${alpine}:3`]), { code: 'UNAVAILABLE' })
    assert.deepEqual(upstream.requests, [])
  })

  it('is refused while the registry is read-only, and ends when it becomes so', async () => {
    const upstream = new FakeUpstream()
    addImage(upstream, 'library/alpine', '3', [8 * mebibyte])
    upstream.rate = mebibyte
    await using stores = await TestRegistry.open({ upstreams: [upstream], mirror: { idleTime: 10 } })
    const running = prefetch(stores, [`${alpine}:3`])
    running.catch(() => {})
    await until('it comes', () => upstream.sent > 0)
    assert.equal(await stores.readOnly.turnOn(), 0)
    await assert.rejects(running, { code: 'UNSUPPORTED' })
    await assert.rejects(prefetch(stores, [`${alpine}:3`]), { code: 'UNSUPPORTED' })
  })

  it('stops with its signal, and so do the fetches that nobody else wants', async () => {
    const upstream = new FakeUpstream()
    addImage(upstream, 'library/alpine', '3', [20 * mebibyte])
    upstream.rate = 4 * mebibyte
    await using stores = await TestRegistry.open({ upstreams: [upstream], mirror: { idleTime: 10 } })
    const controller = new AbortController()
    const running = prefetch(stores, [`${alpine}:3`], { signal: controller.signal })
    running.catch(() => {})
    await until('it comes', () => upstream.sent > mebibyte)
    controller.abort()
    await assert.rejects(running, { name: 'AbortError' })
    await sleep(300)
    const { sent } = upstream
    await sleep(300)
    assert.equal(upstream.sent, sent)
    assert.ok(sent < 10 * mebibyte)
  })

  it('fetches at most three blobs at a time, and is not evicted while it does', async () => {
    const upstream = new FakeUpstream()
    addImage(
      upstream,
      'library/alpine',
      '3',
      Array(8)
        .fill(1000)
        .map((size, i) => size + i),
    )
    let [open, most] = [0, 0]
    upstream.beforeChunk = async () => {
      most = Math.max(most, ++open)
      await sleep(20)
      open--
    }
    await using stores = await TestRegistry.open({ upstreams: [upstream] })
    const running = prefetch(stores, [`${alpine}:3`])
    await until('it comes', () => open > 0)
    assert.ok(stores.mirroring!.manifests.isRead(alpine))
    await running
    assert.ok(!stores.mirroring!.manifests.isRead(alpine))
    assert.equal(most, 3)
  })

  it('tells how far it is', async () => {
    const upstream = new FakeUpstream()
    const { config } = addImage(upstream, 'library/alpine', '3', [4 * mebibyte])
    upstream.rate = 2 * mebibyte
    await using stores = await TestRegistry.open({ upstreams: [upstream] })
    const seen: PrefetchProgress[] = []
    await prefetch(stores, [`${alpine}:3`], { onProgress: progress => seen.push(progress) })
    const [first] = seen
    assert.deepEqual([first?.image, first?.done, first?.size], [`${alpine}:3`, 0, 4 * mebibyte + config.byteLength])
    assert.ok(first!.bytes >= mebibyte && first!.bytes < 4 * mebibyte)
    assert.deepEqual(first!.sources, { upstream: first!.bytes })
    assert.equal(first!.rate, first!.bytes)
  })
})

describe('a schedule of prefetches', () => {
  const schedule = (names: string[], every = 200) => ({ schedules: [{ upstream: 'docker.io', names, every }] })

  it('has images here, and those to which their tags move', async () => {
    const upstream = new FakeUpstream()
    const first = addImage(upstream, 'library/alpine', '3', [1000])
    await using stores = await TestRegistry.open({ upstreams: [upstream], mirror: schedule(['library/alpine:3']) })
    await until('it is here', async () => await isHere(stores, alpine, first))
    const second = addImage(upstream, 'library/alpine', '3', [2000])
    await until('the new one is here', async () => await isHere(stores, alpine, second))
    await until('it asked again', () => upstream.asked('HEAD') > 2)
    assert.deepEqual([upstream.asked('GET'), upstream.asked('blob')], [2, 3])
    assert.equal(stores.logged.filter(({ message }) => message === 'image prefetched').length, 2)
  })

  it('begins after a time that chance decides', async () => {
    const upstream = new FakeUpstream()
    await using _stores = await TestRegistry.open({ upstreams: [upstream], mirror: schedule(['a:1'], 10_000_000) })
    await sleep(100)
    assert.deepEqual(upstream.requests, [])
  })

  it('leaves an upstream alone for as long as it wants', async () => {
    const upstream = new FakeUpstream()
    addImage(upstream, 'library/alpine', '3', [1000])
    let isThrottled = true
    const { manifest } = upstream
    upstream.manifest = async (...args) => {
      const found = await manifest(...args)
      if (isThrottled) {
        throw new UpstreamError('slow down', { upstream: 'docker.io', reason: 'throttled', retryAfter: 4 })
      }
      return found
    }
    const names = ['library/alpine:3', 'library/alpine:4']
    await using stores = await TestRegistry.open({ upstreams: [upstream], mirror: schedule(names, 100) })
    await until('it was throttled', () =>
      stores.logged.some(
        ({ message, reason }) => message === 'prefetch ended early' && /left alone/.test(String(reason)),
      ),
    )
    const { length } = upstream.requests
    await sleep(600)
    assert.equal(upstream.requests.length, length)
    isThrottled = false
    await until('it went on', () => stores.logged.some(({ message }) => message === 'image prefetched'))
    await until('and with the rest', () => upstream.asked('GET library/alpine:4') > 0)
  })

  it('does nothing while the registry is read-only or full, and little where upstream is down', async () => {
    for (const [minFree, isReadOnly, reason] of [
      [undefined, true, /read-only/],
      [Number.MAX_SAFE_INTEGER, false, /storage is full/],
    ] as const) {
      const upstream = new FakeUpstream()
      addImage(upstream, 'library/alpine', '3', [1000])
      await using stores = await TestRegistry.open({
        upstreams: [upstream],
        mirror: schedule(['library/alpine:3'], 1000),
        minFree,
      })
      await (isReadOnly ? stores.readOnly.turnOn() : undefined)
      const endedEarly = () => stores.logged.find(({ message }) => message === 'prefetch ended early')
      assert.match(String((await until('it ended', endedEarly))['reason']), reason)
      assert.deepEqual(upstream.requests, [])
    }
    const upstream = Object.assign(new FakeUpstream(), { down: 'unreachable' as const })
    const names = Array.from({ length: 10 }, (_, i) => `a/${i}`)
    await using _stores = await TestRegistry.open({ upstreams: [upstream], mirror: schedule(names, 1000) })
    await until('it was asked', () => upstream.requests.length === 3)
    await sleep(200)
    assert.equal(upstream.requests.length, 3)
  })

  it('counts what images share once', async () => {
    const upstream = new FakeUpstream()
    for (const tag of ['1', '2', '3', '4']) {
      addImage(upstream, 'library/alpine', tag, [1000, 10 + Number(tag)], 'shared')
    }
    const mirror = { ...schedule(['library/alpine:*'], 500), cacheBytes: 2500 }
    await using stores = await TestRegistry.open({ upstreams: [upstream], mirror })
    const prefetched = () => stores.logged.filter(({ message }) => message === 'image prefetched')
    await until('all are here', () => prefetched().length === 4)
  })

  it('does not fetch images that would evict each other', async () => {
    const upstream = new FakeUpstream()
    for (const tag of ['1', '2', '3', '4']) {
      addImage(upstream, 'library/alpine', tag, [1000])
    }
    const mirror = { ...schedule(['library/alpine:*'], 500), cacheBytes: 2500 }
    await using stores = await TestRegistry.open({ upstreams: [upstream], mirror })
    const endedEarly = () => stores.logged.find(({ message }) => message === 'prefetch ended early')
    assert.match(String((await until('it ended', endedEarly))['reason']), /would evict each other/)
    assert.equal(upstream.asked('GET'), 3)
  })
})
