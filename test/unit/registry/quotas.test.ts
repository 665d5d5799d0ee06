import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { Quotas, type QuotaRule } from '../../../src/registry/quotas/quotas.ts'
import { randomBytes, sha256 } from '../../fixtures/images.ts'
import { descriptorOf, imageManifest, ociManifest } from '../../fixtures/manifests.ts'
import { stream, TestRegistry } from '../../fixtures/registry.ts'

const [one, two, three] = ['one', 'two', 'three'].map(seed => randomBytes(1000, seed)) as [Buffer, Buffer, Buffer]

let stores: TestRegistry
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

async function open(...quotas: QuotaRule[]): Promise<void> {
  stores = await TestRegistry.open({ quotas })
}

function denied(message: string | RegExp, kind: string): (err: unknown) => boolean {
  return err => {
    const { code, detail, message: actual } = err as { code: string; message: string; detail: Record<string, unknown> }
    assert.equal(code, 'DENIED')
    assert.ok(typeof message === 'string' ? actual === message : message.test(actual), actual)
    assert.deepEqual([detail['quota'], detail['kind']], ['quotas[0]', kind])
    return true
  }
}

describe('a quota of bytes', () => {
  it('is of all repositories of its globs together, and of no other', async () => {
    await open({ repositories: ['a/**'], bytes: 2500 })
    await stores.pushBlob('a/x', one)
    await stores.pushBlob('a/y', one)
    await assert.rejects(
      stores.pushBlob('a/z', two),
      denied('the quota of a/** is 2500 bytes: 2000 are there, and this push adds 1000', 'bytes'),
    )
    await stores.pushBlob('b', two)
    await stores.pushBlob('a/z', two.subarray(0, 500))
    await assert.rejects(stores.uploads.create('a/x'), denied(/2500 are there, and this push adds 1$/, 'bytes'))
    await stores.uploads.create('b')
  })

  it('is noticed before a byte is read, and while they come', async () => {
    await open({ repositories: ['a'], bytes: 1500 })
    const id = await stores.uploads.create('a')
    let read = 0
    async function* counting(): AsyncGenerator<Uint8Array> {
      for await (const chunk of stream(Buffer.concat([one, two, three]), 100)) {
        read += chunk.byteLength
        yield chunk
      }
    }
    await assert.rejects(
      stores.uploads.append('a', id, counting(), { length: 3000 }),
      denied(/this push adds 3000/, 'bytes'),
    )
    assert.equal(read, 0)
    await assert.rejects(stores.uploads.append('a', id, counting()), denied(/this push adds 1600/, 'bytes'))
    assert.equal(read, 1600)
  })

  it('has room again for what was deleted', async () => {
    await open({ repositories: ['a'], bytes: 1500 })
    await stores.pushBlob('a', one)
    await assert.rejects(stores.pushBlob('a', two), denied(/1000 are there/, 'bytes'))
    await stores.repository('a').deleteBlob(sha256(one))
    await stores.pushBlob('a', two)
  })

  it('counts no blob twice in a repository, and a mount as a push', async () => {
    await open({ repositories: ['a', 'b'], bytes: 2500 })
    await stores.pushBlob('a', one)
    await stores.pushBlob('a', one)
    assert.equal(await stores.repository('b').mountBlob(sha256(one), 'a'), true)
    await stores.pushBlob('c', two)
    await assert.rejects(stores.repository('b').mountBlob(sha256(two), 'c'), denied(/2000 are there/, 'bytes'))
  })

  it('is never exceeded by pushes at the same time', async () => {
    await open({ repositories: ['a'], bytes: 3500 })
    const pushes = Array.from({ length: 10 }, async (_, i) => await stores.pushBlob('a', randomBytes(1000, `${i}`)))
    const results = await Promise.allSettled(pushes)
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 3)
  })

  it('is counted anew after what was put past it', async () => {
    await open({ repositories: ['a'], bytes: 1500 })
    const quotas = new Quotas(stores, [{ repositories: ['a'], bytes: 1500 }], { maxAge: -1 })
    {
      using room = await quotas.reserveBlob('a', sha256(one), 1000)
      await assert.rejects(quotas.requireRoom('a', 1000), { code: 'DENIED' })
      assert.notEqual(room, undefined)
    }
    await quotas.requireRoom('a', 1000)
  })
})

describe('a quota of bytes of their own', () => {
  it('leaves out what others have', async () => {
    await open({ repositories: ['a/**'], ownBytes: 1500 })
    await stores.pushBlob('base', one)
    await stores.pushBlob('a/x', one)
    await stores.pushBlob('a/x', two)
    await stores.pushBlob('a/y', two)
    await assert.rejects(
      stores.pushBlob('a/y', three),
      denied('the quota of a/** is 1500 bytes of their own: 1000 are there, and this push adds 1000', 'ownBytes'),
    )
    await stores.repository('base').deleteBlob(sha256(one))
    await assert.rejects(stores.pushBlob('a/y', three), denied(/2000 are there/, 'ownBytes'))
  })
})

describe('a quota of tags', () => {
  it('counts new tags, and neither moved ones nor manifests', async () => {
    await open({ repositories: ['a', 'b'], tags: 2 })
    const manifests = [one, two, three].map(layer => imageManifest({ layers: [descriptorOf(layer)] }))
    for (const repository of ['a', 'b', 'c']) {
      await stores.pushEmptyConfig(repository)
      for (const layer of [one, two, three]) {
        await stores.pushBlob(repository, layer)
      }
    }
    await stores.pushManifest('a', 'v1', manifests[0]!)
    await stores.pushManifest('b', 'v1', manifests[0]!)
    await assert.rejects(
      stores.pushManifest('a', 'v2', manifests[1]!),
      denied('the quota of a, b is 2 tags: 2 are there, and this push adds 1', 'tags'),
    )
    await stores.pushManifest('a', 'v1', manifests[1]!)
    await stores.pushManifest('a', sha256(manifests[2]!), manifests[2]!)
    await stores.pushManifest('c', 'v2', manifests[1]!)
    await stores.repository('b').deleteManifest({ tag: 'v1' })
    const put = { reference: { tag: 'v2' }, bytes: manifests[1]!, contentType: ociManifest, tags: ['v3'] }
    await assert.rejects(stores.repository('a').putManifest(put), denied(/this push adds 2$/, 'tags'))
    await stores.pushManifest('a', 'v2', manifests[1]!)
  })
})
