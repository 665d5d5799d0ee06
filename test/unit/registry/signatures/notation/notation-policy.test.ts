import assert from 'node:assert/strict'
import { after, before, it, mock } from 'node:test'
import { trusted } from '../../../../../src/access/caller.ts'
import type { Digest } from '../../../../../src/oci/digest.ts'
import { OciError } from '../../../../../src/oci/errors.ts'
import { authorityOf, issue } from '../../../../fixtures/code-signing.ts'
import { sha256 } from '../../../../fixtures/images.ts'
import { imageManifest } from '../../../../fixtures/manifests.ts'
import { notationReferrer, notationSignature } from '../../../../fixtures/notation.ts'
import { TestRegistry } from '../../../../fixtures/registry.ts'
import type { Signature } from '../../../../fixtures/signatures.ts'

const hour = 3_600_000
const [release, stranger] = [issue({ name: 'release' }), issue({ name: 'stranger' })]
let stores: TestRegistry
let count = 0

before(async () => {
  const trust = { authorities: [authorityOf(release)], identities: [] }
  stores = await TestRegistry.open({
    onlySigned: [{ repositories: ['**'], keys: [], trust, refuse: ['pulls'], copies: false }],
  })
  await stores.pushEmptyConfig('app')
})
after(async () => {
  await stores[Symbol.asyncDispose]()
})

async function newImage(): Promise<{ digest: Digest; size: number }> {
  const manifest = imageManifest({ annotations: { nr: String(count++) } })
  const { digest } = await stores.pushManifest('app', sha256(manifest), manifest)
  return { digest, size: manifest.byteLength }
}

async function attach({ blobs, manifest }: Signature): Promise<Digest> {
  for (const blob of blobs) {
    await stores.pushBlob('app', blob)
  }
  return (await stores.pushManifest('app', sha256(manifest), manifest)).digest
}

/** @returns undefined where it is pulled */
async function refusalOf(digest: Digest): Promise<string | undefined> {
  try {
    await (await stores.registry.repository('app', trusted)).manifest({ digest })
    return undefined
  } catch (err) {
    assert.ok(err instanceof OciError && err.code === 'DENIED', String(err))
    return err.message
  }
}

it('an image is pulled while it has a signature of Notation', async () => {
  const image = await newImage()
  assert.match((await refusalOf(image.digest))!, /has no signature: have it signed by corp/)
  const signature = await attach(notationSignature(release, image))
  assert.equal(await refusalOf(image.digest), undefined)
  await stores.repository('app').deleteManifest({ digest: signature })
  assert.match((await refusalOf(image.digest))!, /has no signature/)
})

it('an image is refused again once its signature has expired', async () => {
  const image = await newImage()
  const headers = { 'io.cncf.notary.expiry': new Date(Date.now() + hour / 2) }
  await attach(notationSignature(release, image, { headers }))
  assert.equal(await refusalOf(image.digest), undefined)
  mock.timers.enable({ apis: ['Date'], now: Date.now() + hour / 2 + 1 })
  try {
    assert.match((await refusalOf(image.digest))!, /does not count: it has expired/)
  } finally {
    mock.timers.reset()
  }
})

it('signatures of strangers hide none that counts', async () => {
  const image = await newImage()
  for (let i = 0; i < 101; i++) {
    await attach(notationSignature(stranger, image))
  }
  assert.match((await refusalOf(image.digest))!, /of none of the authorities/)
  await attach(notationSignature(release, image))
  assert.equal(await refusalOf(image.digest), undefined)
})

it('an envelope that is too large does not count', async () => {
  const image = await newImage()
  await attach(notationReferrer(Buffer.alloc(1024 * 1024 + 1, 32), image))
  assert.match((await refusalOf(image.digest))!, /it is too large to be verified/)
})

it('a signature with a second layer does not count', async () => {
  const image = await newImage()
  const { blobs, manifest } = notationSignature(release, image)
  const changed = JSON.parse(manifest.toString()) as { layers: unknown[] }
  changed.layers.push(changed.layers[0])
  await attach({ blobs, manifest: Buffer.from(JSON.stringify(changed)) })
  assert.match((await refusalOf(image.digest))!, /holds no signature that this registry knows/)
})
