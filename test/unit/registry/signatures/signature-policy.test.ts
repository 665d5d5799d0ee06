import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { trusted } from '../../../../src/access/caller.ts'
import type { Digest } from '../../../../src/oci/digest.ts'
import { OciError } from '../../../../src/oci/errors.ts'
import { parseReference } from '../../../../src/oci/reference.ts'
import type { FoundManifest } from '../../../../src/registry/repository.ts'
import { FakeUpstream } from '../../../fixtures/fake-upstream.ts'
import { sha256 } from '../../../fixtures/images.ts'
import {
  descriptorOf,
  emptyJson,
  encode,
  foreignLayer,
  imageIndex,
  imageManifest,
  ociConfig,
  ociIndex,
  ociLayer,
  ociManifest,
  type ManifestInit,
} from '../../../fixtures/manifests.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'
import {
  bundleSignature,
  payloadOf,
  signingKey,
  simpleSignature,
  statementOf,
  type Signature,
} from '../../../fixtures/signatures.ts'

const [key, stranger] = [signingKey(), signingKey('stranger')]
const other = sha256(Buffer.from('another image'))
let stores: TestRegistry
let count = 0

before(async () => {
  const rule = { repositories: ['prod/**', 'docker.io/**'], keys: [key.public], refuse: ['pulls' as const] }
  stores = await TestRegistry.open({
    onlySigned: [
      { ...rule, copies: false },
      { ...rule, repositories: ['copies/**'], copies: true },
    ],
  })
})
after(async () => {
  await stores[Symbol.asyncDispose]()
})

const tagOf = (image: Digest): string => `${image.replace(':', '-')}.sig`

async function push(
  repository: string,
  reference: string,
  init: ManifestInit = {},
  blobs: Buffer[] = [],
): Promise<Digest> {
  await stores.pushEmptyConfig(repository)
  for (const blob of blobs) {
    await stores.pushBlob(repository, blob)
  }
  const manifest = imageManifest({ annotations: { nr: String(count++) }, ...init })
  const { digest } = await stores.pushManifest(
    repository,
    reference === 'digest' ? sha256(manifest) : reference,
    manifest,
  )
  return digest
}

/** An image that is no other test's, and its size */
async function image(repository = 'prod/app'): Promise<{ digest: Digest; size: number }> {
  const digest = await push(repository, 'v1')
  return { digest, size: (await stores.repository(repository).manifest({ digest })).size }
}

async function attach(
  repository: string,
  { blobs, manifest }: Signature,
  reference: string = sha256(manifest),
): Promise<Digest> {
  for (const blob of blobs) {
    await stores.pushBlob(repository, blob)
  }
  return (await stores.pushManifest(repository, reference, manifest)).digest
}

async function pull(repository: string, reference: string): Promise<FoundManifest> {
  return await (await stores.registry.repository(repository, trusted)).manifest(parseReference(reference))
}

async function refused(repository: string, reference: string, why: RegExp): Promise<void> {
  await assert.rejects(pull(repository, reference), (err: unknown) => {
    assert.ok(err instanceof OciError)
    assert.equal(err.code, 'DENIED')
    assert.match(err.message, why)
    return true
  })
}

describe('an image of a repository in which images must be signed', () => {
  it('is refused without a signature, by tag and by digest, with what to do', async () => {
    const { digest } = await image()
    const why =
      /^only signed images are pulled from prod\/app, and this one has no signature: have it signed by release \(policy onlySigned\[0\]\)$/
    await refused('prod/app', 'v1', why)
    await refused('prod/app', digest, why)
    assert.equal((await pull('dev/app', await push('dev/app', 'v1'))).mediaType, ociManifest)
  })

  it('is pulled once it is signed as cosign 2 does, and refused again without the signature', async () => {
    const { digest } = await image()
    await refused('prod/app', digest, /no signature/)
    await attach('prod/app', simpleSignature(key, digest), tagOf(digest))
    assert.equal((await pull('prod/app', 'v1')).digest, digest)
    assert.equal((await pull('prod/app', digest)).digest, digest)
    await stores.repository('prod/app').deleteManifest({ tag: tagOf(digest) })
    await refused('prod/app', digest, /no signature/)
  })

  it('is pulled once it is signed as cosign 3 does, and refused again without the signature', async () => {
    const subject = await image()
    const signature = await attach('prod/app', bundleSignature(key, subject))
    assert.equal((await pull('prod/app', subject.digest)).digest, subject.digest)
    await stores.repository('prod/app').deleteManifest({ digest: signature })
    await refused('prod/app', subject.digest, /no signature/)
  })

  for (const [kind, hash] of [['p384', 'sha256'], ['p384', 'sha384'], ['ed25519'], ['rsa']] as const) {
    it(`is signed by a key of ${kind} ${hash ?? ''}`, async () => {
      const own = signingKey(kind, kind, hash)
      await using registry = await TestRegistry.open({
        onlySigned: [{ repositories: ['**'], keys: [stranger.public, own.public], refuse: ['pulls'], copies: false }],
      })
      await registry.pushEmptyConfig('app')
      for (const [name, make] of [
        ['v2', simpleSignature],
        ['v3', bundleSignature],
      ] as const) {
        const manifest = imageManifest({ annotations: { name } })
        const { digest, size } = await registry.pushManifest('app', name, manifest)
        const made = make === simpleSignature ? simpleSignature(own, digest) : bundleSignature(own, { digest, size })
        for (const blob of made.blobs) {
          await registry.pushBlob('app', blob)
        }
        const at = make === simpleSignature ? tagOf(digest) : sha256(made.manifest)
        const signature = await registry.pushManifest('app', at, made.manifest)
        assert.deepEqual(await registry.signatures!.note(registry.repository('app'), digest, signature.digest, {}), {
          verified: true,
          key: kind,
        })
        assert.equal((await (await registry.registry.repository('app', trusted)).manifest({ digest })).digest, digest)
      }
    })
  }

  it('is signed by a later one of many signatures', async () => {
    const subject = await image()
    await attach('prod/app', simpleSignature(stranger, subject.digest), tagOf(subject.digest))
    await attach('prod/app', bundleSignature(stranger, subject))
    await refused('prod/app', 'v1', /does not count: it is by none of the keys/)
    await attach('prod/app', bundleSignature(key, subject))
    assert.equal((await pull('prod/app', 'v1')).digest, subject.digest)
  })
})

describe('signatures of a stranger', () => {
  it('hide none that counts, however many come before it', async () => {
    const subject = await image()
    const signatureWhere = (by: typeof key, isWanted: (digest: Digest) => boolean): Signature => {
      for (;;) {
        const made = bundleSignature(by, subject)
        if (isWanted(sha256(made.manifest))) {
          return made
        }
      }
    }
    const valid = signatureWhere(key, digest => digest > 'sha256:8')
    for (let i = 0; i < 101; i++) {
      await attach(
        'prod/app',
        signatureWhere(stranger, digest => digest < sha256(valid.manifest)),
      )
    }
    await refused('prod/app', 'v1', /none of the keys/)
    await attach('prod/app', valid)
    assert.equal((await pull('prod/app', 'v1')).digest, subject.digest)
  })
})

describe('a signature that does not count', () => {
  const cases: [string, (subject: { digest: Digest; size: number }) => [Signature, string?], RegExp][] = [
    [
      'by a stranger, of cosign 2',
      ({ digest }) => [simpleSignature(stranger, digest), tagOf(digest)],
      /none of the keys/,
    ],
    ['by a stranger, of cosign 3', subject => [bundleSignature(stranger, subject)], /none of the keys/],
    ['of another image, of cosign 2', ({ digest }) => [simpleSignature(key, other), tagOf(digest)], /another image/],
    [
      'of another image, of cosign 3',
      subject => [bundleSignature(key, subject, { statement: statementOf(other) })],
      /another image/,
    ],
    [
      'of the same image in another repository',
      ({ digest }) => [simpleSignature(key, digest, { reference: 'registry.example:5000/dev/app' }), tagOf(digest)],
      /another repository/,
    ],
    [
      'of something that is no image',
      ({ digest }) => [simpleSignature(key, digest, { payload: encode({ critical: { image: 1 } }) }), tagOf(digest)],
      /not about an image/,
    ],
    [
      'of no JSON',
      ({ digest }) => [simpleSignature(key, digest, { payload: Buffer.from([255]) }), tagOf(digest)],
      /not about/,
    ],
    [
      'that is huge, of cosign 2',
      ({ digest }) => [simpleSignature(key, digest, { payload: Buffer.alloc(65 * 1024, ' ') }), tagOf(digest)],
      /too large/,
    ],
    [
      'that is huge, of cosign 3',
      subject => [bundleSignature(key, subject, { change: made => ({ ...made, more: 'x'.repeat(1024 * 1024) }) })],
      /too large/,
    ],
    [
      'of an attestation',
      subject => [
        bundleSignature(key, subject, { statement: statementOf(subject.digest, 'https://slsa.dev/provenance/v1') }),
      ],
      /attestation/,
    ],
    [
      'of another type of payload',
      subject => [bundleSignature(key, subject, { payloadType: 'text/plain' })],
      /no in-toto statement/,
    ],
    ['of no statement', subject => [bundleSignature(key, subject, { statement: encode([1]) })], /no in-toto statement/],
    ['in a bundle that is a list', subject => [bundleSignature(key, subject, { change: () => [] })], /no valid bundle/],
    [
      'in a bundle of something else',
      subject => [
        bundleSignature(key, subject, { change: made => ({ ...made, dsseEnvelope: { payload: {}, signatures: 7 } }) }),
      ],
      /no valid bundle/,
    ],
    [
      'in a bundle with a certificate',
      subject => [
        bundleSignature(key, subject, {
          change: made => ({ ...made, verificationMaterial: { certificate: { rawBytes: 'AAAA' } } }),
        }),
      ],
      /with a certificate/,
    ],
  ]
  for (const [what, make, why] of cases) {
    it(`is one ${what}`, async () => {
      const subject = await image()
      const [signature, tag] = make(subject)
      await attach('prod/app', signature, tag)
      await refused('prod/app', 'v1', why)
    })
  }

  it('is one whose text was changed after it was signed', async () => {
    const { digest } = await image()
    const made = simpleSignature(key, digest)
    const changed = Buffer.from(payloadOf(digest, 'changed'))
    const layer = { ...descriptorOf(changed, 'application/vnd.dev.cosign.simplesigning.v1+json') }
    const { config, layers } = JSON.parse(made.manifest.toString()) as Required<ManifestInit>
    const manifest = imageManifest({ config, layers: [{ ...layers[0]!, ...layer }] })
    await attach('prod/app', { manifest, blobs: [...made.blobs, changed] }, tagOf(digest))
    await refused('prod/app', 'v1', /none of the keys/)
  })

  it('is one for another repository, unless copies count', async () => {
    const { digest } = await image('copies/app')
    await attach('copies/app', simpleSignature(key, digest, { reference: 'registry.example/dev/app' }), tagOf(digest))
    assert.equal((await pull('copies/app', 'v1')).digest, digest)
  })

  it('is not one for the repository under another host', async () => {
    const { digest } = await image()
    const reference = `registry.example:5000/prod/app@${digest}`
    await attach('prod/app', simpleSignature(key, digest, { reference }), tagOf(digest))
    assert.equal((await pull('prod/app', 'v1')).digest, digest)
  })
})

describe('what belongs to an image', () => {
  it('is pulled by digest where the index that lists it is signed, and refused where it is not', async () => {
    const child = await push('prod/multi', 'digest')
    const size = (await stores.repository('prod/multi').manifest({ digest: child })).size
    const index = imageIndex([{ mediaType: ociManifest, digest: child, size }])
    await stores.pushManifest('prod/multi', 'v1', index, ociIndex)
    await refused('prod/multi', child, /no signature/)
    await refused('prod/multi', 'v1', /no signature/)
    await attach('prod/multi', bundleSignature(key, { digest: sha256(index), size: index.byteLength }))
    // the index leads to what it lists, also right after that was refused
    assert.equal((await pull('prod/multi', 'v1')).digest, sha256(index))
    assert.equal((await pull('prod/multi', child)).digest, child)
  })

  it('is found without a pull of the index', async () => {
    const child = await push('prod/direct', 'digest')
    const size = (await stores.repository('prod/direct').manifest({ digest: child })).size
    const inner = imageIndex([{ mediaType: ociManifest, digest: child, size }])
    await stores.pushManifest('prod/direct', sha256(inner), inner, ociIndex)
    const outer = imageIndex([{ mediaType: ociIndex, digest: sha256(inner), size: inner.byteLength }])
    await stores.pushManifest('prod/direct', 'v1', outer, ociIndex)
    await attach('prod/direct', bundleSignature(key, { digest: sha256(outer), size: outer.byteLength }))
    assert.equal((await pull('prod/direct', child)).digest, child)
  })

  it('is pulled whatever signed it: signatures, attestations and SBOMs', async () => {
    const subject = await image('prod/sbom')
    const signature = await attach('prod/sbom', simpleSignature(stranger, subject.digest), tagOf(subject.digest))
    assert.equal((await pull('prod/sbom', tagOf(subject.digest))).digest, signature)
    const bundle = await attach('prod/sbom', bundleSignature(stranger, subject))
    assert.equal((await pull('prod/sbom', bundle)).digest, bundle)
    const sbom = Buffer.from('{"bomFormat":"CycloneDX"}')
    const init = {
      artifactType: 'application/vnd.cyclonedx+json',
      layers: [descriptorOf(sbom, ociLayer)],
      subject: { mediaType: ociManifest, ...subject },
    }
    const digest = await push('prod/sbom', 'digest', init, [sbom])
    assert.equal((await pull('prod/sbom', digest)).digest, digest)
  })

  const layer = Buffer.from('a layer\0')
  const config = encode({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [sha256(layer)] } })
  const disguises: [string, Pick<ManifestInit, 'config' | 'layers' | 'artifactType'>][] = [
    ['an image', { config: descriptorOf(config, ociConfig), layers: [descriptorOf(layer)] }],
    [
      'the config of an image',
      { config: descriptorOf(config, ociConfig), layers: [descriptorOf(layer, 'text/plain')] },
    ],
    ['layers of an image', { config: descriptorOf(config, 'application/x'), layers: [descriptorOf(layer)] }],
    [
      'layers that are elsewhere',
      {
        config: descriptorOf(config, ociConfig),
        layers: [{ ...descriptorOf(Buffer.from('away'), foreignLayer), urls: ['http://a.example/'] }],
      },
    ],
  ]
  for (const [what, init] of disguises) {
    it(`is not what has a subject and ${what}`, async () => {
      const subject = await image('prod/disguise')
      const made = { ...init, subject: { mediaType: ociManifest, ...subject } }
      const digest = await push('prod/disguise', 'digest', made, [layer, config])
      await refused('prod/disguise', digest, /no signature/)
      await push('prod/disguise', tagOf(other), made, [layer, config])
      await refused('prod/disguise', tagOf(other), /no signature/)
    })
  }
})

describe('an image of another registry', () => {
  it('is pulled where its signature is there, which is fetched once, and refused where it is not', async () => {
    const upstream = new FakeUpstream()
    upstream.addBlob('library/alpine', emptyJson)
    const add = (tag: string): Digest =>
      upstream.addManifest('library/alpine', tag, imageManifest({ annotations: { tag } }), ociManifest)
    const [bare, signed] = [add('bare'), add('signed')]
    const { blobs, manifest } = simpleSignature(key, signed, { reference: 'index.docker.io/library/alpine' })
    for (const blob of blobs) {
      upstream.addBlob('library/alpine', blob)
    }
    upstream.addManifest('library/alpine', tagOf(signed), manifest, ociManifest)
    await using mirror = await TestRegistry.open({
      upstreams: [upstream],
      onlySigned: [{ repositories: ['docker.io/**'], keys: [key.public], refuse: ['pulls'], copies: false }],
    })
    const repository = await mirror.registry.repository('docker.io/library/alpine', trusted)
    assert.equal(repository.upstream, 'docker.io')
    const pullFrom = async (tag: string): Promise<FoundManifest> => await repository.manifest({ tag })
    const denied = { code: 'DENIED', message: /and this one has no signature/ }
    assert.equal((await pullFrom('signed')).digest, signed)
    await assert.rejects(pullFrom('bare'), denied)
    const asked = upstream.requests.length
    assert.equal((await pullFrom('signed')).digest, signed)
    await assert.rejects(pullFrom('bare'), denied)
    assert.deepEqual(upstream.requests.slice(asked), [], bare)
  })
})

describe('verifying', () => {
  it('happens once for an image and a signature', async () => {
    const subject = await image('prod/once')
    const signature = await attach('prod/once', bundleSignature(key, subject))
    const repository = stores.repository('prod/once')
    let reads = 0
    const blob: typeof repository.blob = async (...args) => {
      reads++
      return await repository.blob(...args)
    }
    const { name } = repository
    const counted = {
      name,
      blob,
      manifest: repository.manifest.bind(repository),
      referrers: repository.referrers.bind(repository),
    }
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(await stores.signatures!.standings(counted, subject.digest, {}), [
        { policy: 'onlySigned[0]', refuse: ['pulls'], standing: { key: 'release' } },
      ])
      await stores.signatures!.note(counted, subject.digest, signature, {})
    }
    assert.equal(reads, 1)
  })
})
