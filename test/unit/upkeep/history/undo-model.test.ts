/**
 * 1,000 random pushes, moves, retags, deletes and undos, with garbage collections among them; then each repository is
 * made as it was in states picked at random, and compared with what a plain copy of each state says
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Digest } from '../../../../src/oci/digest.ts'
import { everything } from '../../../../src/oci/pagination.ts'
import { sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, imageIndex, imageManifest, ociIndex, ociManifest } from '../../../fixtures/manifests.ts'
import { Random } from '../../../fixtures/random.ts'
import { readAll, TestRegistry } from '../../../fixtures/registry.ts'

const actions = 1000
const comparisons = 20
const day = 24 * 60 * 60 * 1000
const repositories = ['a', 'a/b', 'c']
const tags = ['v1', 'v2', 'v3', 'latest']
const layers = Array.from({ length: 6 }, (_, i) => Buffer.from(`layer ${i}`))
const seed = process.env.SEED ?? String(Date.now())

/** Everything that a client can see of a repository */
interface Seen {
  tags: Record<string, Digest>
  /** Roots by digest */
  manifests: Record<string, string>
  referrers: Record<string, Digest[]>
}

/** Everything of a repository in one state */
interface Then {
  seen: Seen
  /** Blobs that its manifests name and that it could serve; others may have come since */
  blobs: Digest[]
}

class Model {
  readonly stores: TestRegistry
  readonly random = new Random(seed)
  /** What each repository was, by the number of the last change of all */
  readonly states: Array<{ state: number; then: Record<string, Then> }> = []

  constructor(stores: TestRegistry) {
    this.stores = stores
  }

  async step(): Promise<void> {
    const { random, stores } = this
    const repository = random.pick(repositories)
    const tag = random.pick(tags)
    const action = random.below(12)
    const local = stores.repository(repository)
    const digests = Object.keys((await this.see(repository)).manifests) as Digest[]
    if (action < 5) {
      await this.push(repository, tag)
    } else if (action < 6 && digests.length > 0) {
      await this.pushReferrer(repository, random.pick(digests))
    } else if (action < 7) {
      await ignoring(local.deleteManifest({ tag }))
    } else if (action < 9 && digests.length > 0) {
      await local.deleteManifest({ digest: random.pick(digests) })
    } else if (action < 10) {
      await ignoring(local.deleteBlob(sha256(random.pick(layers))))
    } else if (action < 11) {
      await ignoring(stores.undo.undo({ repository, tag: random.chance(0.5) ? tag : undefined }))
    } else if (random.chance(0.2)) {
      await this.collect()
    } else {
      await this.pushIndex(repository, tag, digests)
    }
  }

  async push(repository: string, tag: string): Promise<void> {
    const { random, stores } = this
    const own = layers.filter(() => random.chance(0.4))
    await stores.pushEmptyConfig(repository)
    for (const layer of own) {
      await stores.pushBlob(repository, layer)
    }
    const bytes = imageManifest({ layers: own.map(layer => descriptorOf(layer)) })
    await stores.pushManifest(repository, random.chance(0.9) ? tag : sha256(bytes), bytes)
  }

  async pushReferrer(repository: string, subject: Digest): Promise<void> {
    await this.stores.pushEmptyConfig(repository)
    const descriptor = { mediaType: ociManifest, digest: subject, size: 1 }
    const bytes = imageManifest({ subject: descriptor, annotations: { a: String(this.random.below(3)) } })
    await this.stores.pushManifest(repository, sha256(bytes), bytes)
  }

  async pushIndex(repository: string, tag: string, digests: Digest[]): Promise<void> {
    const some = digests.filter(() => this.random.chance(0.3))
    const bytes = imageIndex(some.map(digest => ({ mediaType: ociManifest, digest, size: 1 })))
    await this.stores.pushManifest(repository, tag, bytes, ociIndex)
  }

  async collect(): Promise<void> {
    await sleep(2)
    const untagged = this.random.chance(0.5) ? 1 : undefined
    await this.stores.collector({ historyKeep: day, untagged }).collect()
  }

  async see(repository: string): Promise<Seen> {
    const { index } = this.stores
    const seen: Seen = { tags: {}, manifests: {}, referrers: {} }
    for await (const { tag, record } of index.tags(repository, everything)) {
      seen.tags[tag] = record.digest
    }
    for await (const { digest, record } of index.manifests(repository)) {
      seen.manifests[digest] = record.root
      const { subject } = record
      if (subject !== undefined) {
        const referrers = await Array.fromAsync(index.referrers(repository, subject, everything))
        seen.referrers[subject] = referrers.map(({ digest }) => digest)
      }
    }
    return seen
  }

  async blobsOf(repository: string): Promise<Digest[]> {
    const { index } = this.stores
    const blobs = new Set<Digest>()
    for await (const { record } of index.manifests(repository)) {
      for (const digest of record.blobs) {
        if (await index.isLinked(repository, digest)) {
          blobs.add(digest)
        }
      }
    }
    return [...blobs]
  }

  async note(): Promise<void> {
    const then: Record<string, Then> = {}
    for (const name of repositories) {
      then[name] = { seen: await this.see(name), blobs: await this.blobsOf(name) }
    }
    this.states.push({ state: await this.stores.index.history.last(), then })
  }
}

async function ignoring(work: Promise<unknown>): Promise<void> {
  await work.catch((err: { code?: string }) => {
    assert.match(String(err.code), /^(MANIFEST|BLOB)_UNKNOWN$|^REQUEST_INVALID$/)
  })
}

it(`brings back any state after ${actions} random changes, with everything in it (SEED=${seed})`, async () => {
  await using stores = await TestRegistry.open({ recent: 0, unreferenced: 0, history: {} })
  const model = new Model(stores)
  await model.note()
  for (let i = 0; i < actions; i++) {
    await model.step()
    await model.note()
  }
  const listed = new Set<string>()
  for (let i = 0; i < comparisons; i++) {
    const { state, then } = model.random.pick(model.states)
    for (const repository of repositories) {
      await stores.undo.undo({ repository, to: state })
      const { seen, blobs } = then[repository]!
      assert.deepEqual(await model.see(repository), seen, `${repository} in state ${state}`)
      assert.deepEqual([...new Set(blobs).difference(new Set(await model.blobsOf(repository)))], [])
      listed.add(`${state}:${repository}`)
    }
    const catalog = await Array.fromAsync(stores.index.repositories(everything))
    assert.deepEqual(
      catalog,
      repositories.filter(name => Object.keys(then[name]!.seen.manifests).length > 0),
    )
    if (i % 10 === 0) {
      await model.collect()
      await requireReadable(stores)
    }
  }
  assert.ok(listed.size > comparisons)
  // nothing that is needed depends on the history
  await sleep(2)
  await stores.collector({ historyKeep: 0 }).collect()
  await requireReadable(stores)
})

/** Each manifest, and each blob that a repository links, can be read */
async function requireReadable(stores: TestRegistry): Promise<void> {
  for (const repository of repositories) {
    for await (const { digest } of stores.index.manifests(repository)) {
      const bytes = await (await stores.repository(repository).manifest({ digest })).read()
      assert.equal(sha256(bytes), digest)
    }
  }
  for await (const { repository, digest } of stores.index.links()) {
    assert.equal(sha256(await readAll((await stores.repository(repository).blob(digest)).read())), digest)
  }
}
