/** Images that must be signed, as clients see them */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Digest } from '../../src/oci/digest.ts'
import type { Referrer } from '../../src/registry/overview/content/referrers.ts'
import type { Limited } from '../../src/registry/overview/content/limited.ts'
import { json, TestApp, type Reply } from '../fixtures/app.ts'
import { basic } from '../fixtures/access.ts'
import { sha256 } from '../fixtures/images.ts'
import { imageManifest, ociManifest } from '../fixtures/manifests.ts'
import { authorityOf, issue } from '../fixtures/code-signing.ts'
import { notationSignature } from '../fixtures/notation.ts'
import { bundleSignature, signingKey, simpleSignature, type Signature } from '../fixtures/signatures.ts'

const [key, stranger] = [signingKey(), signingKey('stranger')]
const notation = 'application/vnd.cncf.notary.signature'
const [corp, outsider] = [issue({ name: 'release' }), issue({ name: 'outsider' })]
const cosign = { 'User-Agent': 'cosign/v3.1.3 (linux; amd64) go-containerregistry/v0.20.6' }
let app: TestApp
let count = 0

before(async () => {
  const rule = { keys: [key.public], copies: false }
  app = await TestApp.start({
    onlySigned: [
      { ...rule, repositories: ['prod/**'], refuse: ['pulls'] },
      { ...rule, repositories: ['tagged/**'], refuse: ['tags'] },
      { ...rule, repositories: ['trial/**'], refuse: [] },
      {
        ...rule,
        repositories: ['corp/**'],
        trust: { authorities: [authorityOf(corp)], identities: [] },
        refuse: ['pulls'],
      },
    ],
  })
  for (const name of ['prod/app', 'tagged/app', 'trial/app', 'corp/app', 'free/app']) {
    await app.pushEmptyConfig(name)
  }
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

const newImage = (): Buffer => imageManifest({ annotations: { nr: String(count++) } })

async function attach(
  repository: string,
  { blobs, manifest }: Signature,
  reference: string = sha256(manifest),
): Promise<Digest> {
  for (const blob of blobs) {
    assert.equal((await app.pushBlob(repository, blob)).status, 201)
  }
  const reply = await app.pushManifest(repository, reference, manifest)
  assert.equal(reply.status, 201, reply.body.toString())
  return sha256(manifest)
}

const signatureTag = (image: Buffer): string => `${sha256(image).replace(':', '-')}.sig`
const signed = (image: Buffer, by = key): Signature =>
  bundleSignature(by, { digest: sha256(image), size: image.byteLength })

function refusalIn(reply: Reply): { code: string; message: string; detail: unknown } {
  assert.equal(reply.status, 403)
  return (json(reply) as { errors: [{ code: string; message: string; detail: unknown }] }).errors[0]
}

describe('a pull of an image that must be signed', () => {
  it('gets 403, which says by what policy, and what to do', async () => {
    const image = newImage()
    await app.pushManifest('prod/app', 'v1', image)
    for (const reference of ['v1', sha256(image)]) {
      assert.deepEqual(refusalIn(await app.get(`/v2/prod/app/manifests/${reference}`)), {
        code: 'DENIED',
        message:
          'only signed images are pulled from prod/app, and this one has no signature: ' +
          'have it signed by release (policy onlySigned[0])',
        detail: { name: 'prod/app', digest: sha256(image), policy: 'onlySigned[0]' },
      })
    }
    assert.equal((await app.get('/dig?q=prod/app:v1')).status, 403)
  })

  it('is told that it is there, as clients ask before they push', async () => {
    const image = newImage()
    await app.pushManifest('prod/app', 'v2', image)
    assert.equal((await app.request('HEAD', '/v2/prod/app/manifests/v2')).status, 200)
    assert.equal((await app.request('HEAD', `/v2/prod/app/manifests/${sha256(image)}`)).status, 200)
  })

  it('gets it once it is signed', async () => {
    const image = newImage()
    await app.pushManifest('prod/app', 'v3', image)
    await attach('prod/app', signed(image))
    const reply = await app.get('/v2/prod/app/manifests/v3')
    assert.equal(reply.status, 200)
    assert.deepEqual(reply.body, image)
  })

  it('gets it where cosign asks, which reads what it signs, for who may push', async () => {
    const image = newImage()
    await app.pushManifest('prod/app', 'v4', image)
    assert.equal((await app.get('/v2/prod/app/manifests/v4', cosign)).status, 200)
    assert.equal((await app.get('/v2/prod/app/manifests/v4')).status, 403)
  })

  it('is about no other repository', async () => {
    await app.pushManifest('free/app', 'v1', newImage())
    assert.equal((await app.get('/v2/free/app/manifests/v1')).status, 200)
    await app.pushManifest('trial/app', 'v1', newImage())
    assert.equal((await app.get('/v2/trial/app/manifests/v1')).status, 200, 'a rule that refuses nothing')
  })
})

describe('a tag of an image that must be signed', () => {
  it('is refused before the signature is here, and set afterwards', async () => {
    const image = newImage()
    const reply = await app.pushManifest('tagged/app', 'v1', image)
    assert.deepEqual(
      refusalIn(reply).message.split(': ')[1],
      'push it by its digest, have it signed, then set the tag (policy onlySigned[1])',
    )
    assert.equal((await app.pushManifest('tagged/app', `${sha256(image)}?tag=v1`, image)).status, 403)
    assert.equal((await app.request('HEAD', '/v2/tagged/app/manifests/v1')).status, 404)
    assert.equal((await app.pushManifest('tagged/app', sha256(image), image)).status, 201)
    await attach('tagged/app', simpleSignature(stranger, sha256(image)), signatureTag(image))
    assert.equal((await app.pushManifest('tagged/app', 'v1', image)).status, 403)
    await attach('tagged/app', simpleSignature(key, sha256(image)), signatureTag(image))
    assert.equal((await app.pushManifest('tagged/app', 'v1', image)).status, 201)
    assert.equal((await app.get('/v2/tagged/app/manifests/v1')).status, 200)
  })

  it('may be set where the signature came first, as cosign copies images', async () => {
    const image = newImage()
    await attach('tagged/app', simpleSignature(key, sha256(image)), signatureTag(image))
    assert.equal((await app.pushManifest('tagged/app', 'copied', image)).status, 201)
  })
})

const noAuthority = 'it is a signature of Notation, and no authority is configured whose certificates count'

describe('the pages', () => {
  const subjectOf = (image: Buffer): { mediaType: string; digest: Digest; size: number } => {
    return { mediaType: ociManifest, digest: sha256(image), size: image.byteLength }
  }
  async function notesOf(repository: string, image: Buffer): Promise<unknown[]> {
    const reply = await app.get(`/ui/api/image?repository=${repository}&reference=${sha256(image)}`)
    const { referrers } = json(reply) as { referrers: Limited<Referrer> }
    return referrers.items.map(({ signature }) => signature)
  }

  it('say of each signature by which key it is verified, or why it is not', async () => {
    const image = newImage()
    await app.pushManifest('trial/app', 'page', image)
    await attach('trial/app', simpleSignature(key, sha256(image)), signatureTag(image))
    await attach('trial/app', signed(image, stranger))
    await attach('trial/app', signed(image))
    const sbom = imageManifest({ artifactType: 'application/vnd.cyclonedx+json', subject: subjectOf(image) })
    await attach('trial/app', { manifest: sbom, blobs: [] })
    await attach('trial/app', {
      manifest: imageManifest({ artifactType: notation, subject: subjectOf(image) }),
      blobs: [],
    })
    const notes = await notesOf('trial/app', image)
    assert.equal(notes.length, 5)
    for (const [note, times] of [
      [{ verified: true, key: 'release' }, 2],
      [{ verified: false, reason: 'it is by none of the keys of the configuration' }, 1],
      [{ verified: false, reason: noAuthority }, 1],
      [undefined, 1],
    ] as const) {
      assert.equal(
        notes.filter(found => JSON.stringify(found) === JSON.stringify(note)).length,
        times,
        JSON.stringify(notes),
      )
    }
  })

  it('say by which authority a signature of Notation is verified', async () => {
    const image = newImage()
    await app.pushManifest('corp/app', 'page', image)
    const subject = { digest: sha256(image), size: image.byteLength }
    await attach('corp/app', notationSignature(outsider, subject))
    const refusal = refusalIn(await app.get('/v2/corp/app/manifests/page'))
    assert.match(refusal.message, /of none of the authorities of the configuration: have it signed by release or corp/)
    await attach('corp/app', notationSignature(corp, subject, { format: 'cose' }))
    assert.equal((await app.get('/v2/corp/app/manifests/page')).status, 200)
    assert.deepEqual(
      (await notesOf('corp/app', image)).toSorted((a, b) => JSON.stringify(a).length - JSON.stringify(b).length),
      [
        { verified: true, key: 'corp (CN=release, O=Example)' },
        { verified: false, reason: 'its certificate is of none of the authorities of the configuration' },
      ],
    )
  })

  it('say that no key is known where there is none', async () => {
    const image = newImage()
    await app.pushManifest('free/app', 'page', image)
    await attach('free/app', signed(image))
    assert.deepEqual(await notesOf('free/app', image), [
      { verified: false, reason: 'no policy onlySigned names a key for this repository' },
    ])
  })
})

it('only who may push reads unsigned images by the name of cosign', async () => {
  const rule = (user: string, actions: string): string =>
    `  - { who: ['user:${user}'], repositories: ['**'], actions: [${actions}] }\n`
  await using closed = await TestApp.start({
    onlySigned: [{ repositories: ['**'], keys: [key.public], refuse: ['pulls'], copies: false }],
    access: {
      rules: `\nrules:\n${rule('ci', 'pull, push')}${rule('reader', 'pull')}`,
      users: { ci: 'ci', reader: 'reader' },
    },
  })
  await closed.stores.pushEmptyConfig('app')
  await closed.stores.pushManifest('app', 'v1', newImage())
  const statusFor = async (user: string): Promise<number> =>
    (await closed.get('/v2/app/manifests/v1', { ...cosign, ...basic(user, user) })).status
  assert.deepEqual([await statusFor('ci'), await statusFor('reader')], [200, 403])
})
