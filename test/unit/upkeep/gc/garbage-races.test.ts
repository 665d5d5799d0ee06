import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import type { Digest } from '../../../../src/oci/digest.ts'
import { OciError } from '../../../../src/oci/errors.ts'
import { Publisher } from '../../../../src/registry/tags/publisher.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, emptyJson, imageManifest } from '../../../fixtures/manifests.ts'
import { blocksBelow, blocksOnDisk, rootsInIndex } from '../../../fixtures/reachable.ts'
import { readAll, stream, TestRegistry } from '../../../fixtures/registry.ts'

const mebibyte = 1024 * 1024
const start = randomBytes(mebibyte, 'start')
/** Some of one block, some of several; two begin with the same leaf, and one is a leaf of another */
const blobs = [
  randomBytes(20, 'a'),
  randomBytes(1000, 'b'),
  start,
  Buffer.concat([start, randomBytes(5, 'c')]),
  Buffer.concat([start, randomBytes(70, 'd')]),
  randomBytes(mebibyte + 1, 'e'),
]
const maxTries = 20

type Step =
  | { kind: 'push'; blobs: number[]; tag: string }
  | { kind: 'delete'; tag: string }
  | { kind: 'deleteBlob'; blob: number }
  | { kind: 'upload'; blob: number; bytes: number }
  | { kind: 'finish' }

const blob = fc.nat({ max: blobs.length - 1 })
const tag = fc.constantFrom('x', 'y')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('push' as const), blobs: fc.uniqueArray(blob, { maxLength: 3 }), tag }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), tag }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('deleteBlob' as const), blob }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('upload' as const),
      blob,
      bytes: fc.integer({ min: 0, max: 2 * mebibyte }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('finish' as const) }) },
)

/** Somebody who has a repository alone, and blobs in common with all others */
class Client {
  readonly name: string
  readonly manifests = new Map<string, Buffer>()
  /** What was told to be here and is part of a manifest */
  readonly blobs = new Set<number>()
  #upload: { id: string; blob: number; sent: number } | undefined

  constructor(name: string) {
    this.name = name
  }

  async run(stores: TestRegistry, step: Step): Promise<void> {
    switch (step.kind) {
      case 'push':
        return await this.#push(stores, step.blobs, step.tag)
      case 'delete':
        return await this.#delete(stores, step.tag)
      case 'deleteBlob':
        return await this.#deleteBlob(stores, step.blob)
      case 'upload':
        return await this.#start(stores, step.blob, step.bytes)
      case 'finish':
        return await this.#finish(stores)
    }
  }

  async verify(stores: TestRegistry): Promise<void> {
    const repository = stores.repository(this.name)
    for (const [tag, bytes] of this.manifests) {
      assert.ok(Buffer.from(await (await repository.manifest({ tag })).read()).equals(bytes), `${this.name}:${tag}`)
      assert.ok(Buffer.from(await (await repository.manifest({ digest: sha256(bytes) })).read()).equals(bytes))
      const { root } = await repository.manifest({ tag })
      await blocksBelow(stores, [root])
    }
    for (const blob of this.blobs) {
      const bytes = await readAll((await repository.blob(sha256(blobs[blob]!))).read())
      assert.ok(bytes.equals(blobs[blob]!), `blob ${blob} of ${this.name}`)
    }
  }

  async #push(stores: TestRegistry, layers: number[], tag: string): Promise<void> {
    const manifest = imageManifest({ layers: layers.map(layer => descriptorOf(blobs[layer]!)), annotations: { tag } })
    for (let tries = 0; ; tries++) {
      for (const bytes of [emptyJson, ...layers.map(layer => blobs[layer]!)]) {
        await this.#pushBlob(stores, bytes)
      }
      try {
        await stores.pushManifest(this.name, tag, manifest)
        break
      } catch (err) {
        // without any grace a blob may go before its manifest comes: whoever pushes is told, and begins anew
        if (!(err instanceof OciError) || err.code !== 'MANIFEST_BLOB_UNKNOWN' || tries === maxTries) {
          throw err
        }
      }
    }
    this.manifests.set(tag, manifest)
    layers.forEach(layer => {
      this.blobs.add(layer)
    })
    this.#forgetUnreferenced()
  }

  /** As clients do: only what is not here and can't be mounted is sent */
  async #pushBlob(stores: TestRegistry, bytes: Buffer): Promise<void> {
    const digest = sha256(bytes)
    const repository = stores.repository(this.name)
    const exists = await repository.blob(digest).then(
      () => true,
      () => false,
    )
    if (!exists && !(await repository.mountBlob(digest, undefined))) {
      await stores.pushBlob(this.name, bytes)
    }
  }

  async #delete(stores: TestRegistry, tag: string): Promise<void> {
    const bytes = this.manifests.get(tag)
    if (bytes !== undefined) {
      this.manifests.delete(tag)
      this.#forgetUnreferenced()
      await stores.repository(this.name).deleteManifest({ digest: sha256(bytes) })
    }
  }

  async #deleteBlob(stores: TestRegistry, blob: number): Promise<void> {
    this.blobs.delete(blob)
    await stores
      .repository(this.name)
      .deleteBlob(sha256(blobs[blob]!))
      .catch((err: unknown) => {
        assert.equal((err as OciError).code, 'BLOB_UNKNOWN')
      })
  }

  async #start(stores: TestRegistry, blob: number, bytes: number): Promise<void> {
    await this.#finish(stores)
    const id = await stores.uploads.create(this.name)
    const sent = Math.min(bytes, blobs[blob]!.byteLength)
    this.#upload = { id, blob, sent }
    await stores.uploads.append(this.name, id, stream(blobs[blob]!.subarray(0, sent), mebibyte / 2))
  }

  async #finish(stores: TestRegistry): Promise<void> {
    const upload = this.#upload
    this.#upload = undefined
    if (upload !== undefined) {
      await stores.uploads.commit(
        this.name,
        upload.id,
        sha256(blobs[upload.blob]!),
        stream(blobs[upload.blob]!.subarray(upload.sent)),
      )
    }
  }

  /** A blob without a manifest may go */
  #forgetUnreferenced(): void {
    const needed = new Set<Digest>(
      [...this.manifests.values()].flatMap(bytes =>
        (JSON.parse(String(bytes)) as { layers: Array<{ digest: Digest }> }).layers.map(({ digest }) => digest),
      ),
    )
    for (const blob of this.blobs) {
      if (!needed.has(sha256(blobs[blob]!))) {
        this.blobs.delete(blob)
      }
    }
  }
}

async function assertExact(stores: TestRegistry, published: string): Promise<void> {
  const onDisk = await blocksOnDisk(stores)
  const needed = await blocksBelow(stores, [...(await rootsInIndex(stores)), published])
  assert.deepEqual(
    [...onDisk].filter(name => !needed.has(name)),
    [],
    'garbage is left',
  )
  assert.deepEqual(
    [...needed].filter(name => !onDisk.has(name)),
    [],
    'blocks are missing',
  )
}

function publisherOf({ condition, content, index, log }: TestRegistry): Publisher {
  return new Publisher(
    { condition, content, index, log, names: { publish: async () => ({ name: 'k51', sequence: 1 }) } },
    { automatic: false },
  )
}

/** Numbers from 0 to 1, the same ones for the same seed */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

describe('pushes, mounts, deletes and uploads while garbage is collected', () => {
  it('lose nothing, in whatever order their steps come, and leave nothing', { timeout: 300_000 }, async () => {
    const steps = fc.array(step, { minLength: 1, maxLength: 5 })
    const rounds = fc.array(fc.tuple(steps, steps, steps), { minLength: 1, maxLength: 2 })
    await fc.assert(
      fc.asyncProperty(fc.integer(), rounds, async (seed, rounds) => {
        const random = generator(seed)
        let paused = true
        const pause = async (): Promise<void> => {
          // short most times; now and then one overtakes many others
          for (let turns = paused ? Math.floor(1 / (random() + 0.02)) : 0; turns > 0; turns--) {
            await setImmediate()
          }
        }
        await using stores = await TestRegistry.open({ recent: 0, unreferenced: 0, pause })
        const clients = ['a', 'b', 'c/d'].map(name => new Client(name))
        for (const round of rounds) {
          paused = true
          const publisher = publisherOf(stores)
          const collector = stores.collector({ untagged: 0 }, { publisher })
          let running = true
          const collecting = (async () => {
            while (running) {
              await collector.collect()
            }
          })()
          const publishing = (async () => {
            while (running) {
              await publisher.publish()
              await pause()
            }
          })()
          const working = Promise.all(
            clients.map(async (client, i) => {
              for (const step of round[i]!) {
                await client.run(stores, step)
              }
            }),
          ).finally(() => {
            running = false
          })
          await Promise.all([working, collecting, publishing])
          paused = false
          await publisher.stop()
          for (const client of clients) {
            await client.verify(stores)
          }
          // open uploads go on after it
          await stores.reopen()
        }
        for (const client of clients) {
          await client.run(stores, { kind: 'finish' })
        }
        const { cid } = await publisherOf(stores).publish()
        await stores.collector({ untagged: 0 }).collect()
        await assertExact(stores, cid)
        for (const client of clients) {
          await client.verify(stores)
        }
      }),
      {
        numRuns: Number(process.env.GC_RUNS ?? 25),
        ...(process.env.GC_SEED === undefined ? {} : { seed: Number(process.env.GC_SEED) }),
      },
    )
  })
})
