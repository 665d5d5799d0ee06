import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { bases } from 'multiformats/basics'
import { CID } from 'multiformats/cid'
import { create } from 'multiformats/hashes/digest'
import { parseRoot, toCidV0, toDockerFormat, toIpfsFormat } from '../../../src/oci/cid.ts'
import { parseName } from '../../../src/oci/reference.ts'

/** CIDv0 and its docker format */
const vectors: [string, string][] = [
  ['QmaCm7VNsmM61FApFevTcJ1PxPabmfY4Tf2dFjpAdVdHLF', 'ciqlarwwgn3qewftxxsapdx6aqi5yi7scootos7m5bqbjuzshoavapa'],
  ['QmYMg6WAuvF5i5yFmjT8KkqewZ5Ngh4U9Mp1bGfdjraFVk', 'ciqjjwaeoszdgcaasxmlhjuqnhbctgwijqz64w564lrzeyjezcvbj4y'],
  ['Qmc2ot2NQadXmbvPbsidyjYDvPfPwKZmovzNpfRPKxXUrL', 'ciqmw4mig2uwaygddjlutoywq43udutvdmuxkcxvetsjp2mjdde27wi'],
]
const cid = 'bafybeihntvt5jkdp32qt36ooilcjgmln3c2jxnov4brhzpuke35dtmwa5m'
const key = 'k51qzi5uqu5dgdah039jpvmdidn6t55oz1ej69tshgdzlrkfsyj2asns47ukbj'
const peerId = '12D3KooWAKXBgFofa5KWnjAZ9AYoTGtR4VtXsXPJYBhNZhpZxJ9t'

const codecs = fc.constantFrom(0x70, 0x55, 0x71, 0x0129)
const digests = fc.uint8Array({ minLength: 32, maxLength: 32 })
const cids = fc.oneof(
  digests.map(digest => CID.createV0(create(0x12, digest))),
  fc.tuple(codecs, digests).map(([codec, digest]) => CID.createV1(codec, create(0x12, digest))),
  fc
    .tuple(codecs, fc.uint8Array({ minLength: 64, maxLength: 64 }))
    .map(([codec, digest]) => CID.createV1(codec, create(0x13, digest))),
)

describe('docker format', () => {
  for (const [v0, docker] of vectors) {
    it(`of ${v0}`, () => {
      assert.equal(toDockerFormat(v0), docker)
      assert.equal(toDockerFormat(`/ipfs/${v0}`), docker)
      assert.equal(toDockerFormat(docker), docker)
      assert.equal(toIpfsFormat(docker), v0)
      assert.equal(toIpfsFormat(v0), v0)
      assert.deepEqual(parseRoot(docker), { cid: CID.parse(v0).toV1().toString() })
      assert.deepEqual(parseRoot(docker), parseRoot(v0))
    })
  }

  it('and the form of IPFS tools hold every CID whole, as a legal repository name', () => {
    fc.assert(
      fc.property(cids, cid => {
        const docker = toDockerFormat(cid.toString())!
        assert.equal(parseName(docker), docker)
        assert.equal(docker.startsWith('ciq'), cid.version === 0)
        const ipfs = toIpfsFormat(docker)!
        assert.ok(CID.parse(ipfs).equals(cid), ipfs)
        assert.deepEqual(parseRoot(docker), { cid: cid.toV1().toString() })
        assert.deepEqual(parseRoot(cid.toString()), parseRoot(docker))
        assert.equal(toDockerFormat(ipfs), docker)
      }),
      { numRuns: 10_000 },
    )
  })

  it('of a CIDv1 is base32, whatever its base is', () => {
    assert.equal(toDockerFormat(CID.parse(cid).toString(base58btc)), cid)
    assert.equal(toIpfsFormat(CID.parse(cid).toString(base36)), cid)
  })
})

describe('the CIDv0 of a CIDv1', () => {
  it('is that of dag-pb by sha2-256', () =>
    assert.equal(toCidV0(CID.parse(vectors[0]![0]).toV1().toString()), vectors[0]![0]))

  for (const [what, of] of [
    ['another codec', CID.createV1(0x55, CID.parse(cid).multihash)],
    ['another hash', CID.createV1(0x70, create(0x13, new Uint8Array(64)))],
  ] as const) {
    it(`does not exist for ${what}`, () => assert.equal(toCidV0(of.toString()), undefined))
  }
})

describe('the name of an image root', () => {
  const forms: [string, { cid: string } | { name: string }][] = [
    [cid, { cid }],
    [`/ipfs/${cid}`, { cid }],
    [`ipfs/${cid}`, { cid }],
    [`ipfs://${cid}`, { cid }],
    [`/ipfs/${cid}/`, { cid }],
    [`/ipfs/${vectors[0]![1]}`, { cid: CID.parse(vectors[0]![0]).toV1().toString() }],
    [key, { name: key }],
    [CID.parse(key, base36).toString(), { name: key }],
    [`/ipns/${key}`, { name: key }],
    [`ipns://${key}`, { name: key }],
    [`/ipns/${peerId}`, { name: key }],
    ['/ipns/Example.COM', { name: 'example.com' }],
    ['ipns/example.com', { name: 'example.com' }],
  ]
  for (const [text, root] of forms) {
    it(`may be ${text}`, () => assert.deepEqual(parseRoot(text), root))
  }

  for (const { name, prefix, encoder } of Object.values(bases).filter(({ name }) => name !== 'identity')) {
    it(`may be a CID in ${name} (${prefix})`, () =>
      assert.deepEqual(parseRoot(CID.parse(cid).toString(encoder)), { cid }))
  }

  for (const text of [
    '',
    '/',
    '/ipfs/',
    '/ipfs',
    '/ipns/',
    'busybox',
    'example',
    'grafana',
    'library/busybox',
    'localhost:5000/x',
    cid.slice(0, -1),
    `${cid}a`,
    `${cid}/blobs`,
    `/ipfs/${cid}/..`,
    `/ipns/${cid}`,
    `/ipfs/${key}`,
    `/ipns/..`,
    '/ipns/a',
    '/ipns/../x.com',
    'bafkqaaa',
    'k51',
    'Qm',
    vectors[0]![0].slice(1),
    vectors[0]![1].slice(1),
    vectors[0]![1].toUpperCase(),
    `${vectors[0]![1]}a`,
    `${vectors[0]![1].slice(0, -1)}b`,
    `//ipfs/${cid}`,
    ` ${cid}`,
    `${cid}\n`,
    'x'.repeat(100_000),
  ]) {
    it(`is not ${JSON.stringify(text.slice(0, 70))}`, () => {
      assert.deepEqual([parseRoot(text), toDockerFormat(text), toIpfsFormat(text)], [undefined, undefined, undefined])
    })
  }

  for (const [what, hash, length, isRoot] of [
    ['a hash that is found by trying', 0x12, 15, false],
    ['a hash of 16 bytes', 0x12, 16, true],
    ['a hash of 64 bytes', 0x13, 64, true],
    ['more bytes than a hash has', 0x13, 65, false],
    ['content in the place of a hash', 0x00, 65, false],
  ] as const) {
    it(`is ${isRoot ? '' : 'not '}one with ${what}`, () => {
      const multihash = create(hash, new Uint8Array(length).fill(1))
      const [root, key] = [CID.createV1(0x70, multihash), CID.createV1(0x72, multihash)]
      assert.deepEqual(parseRoot(root.toString()), isRoot ? { cid: root.toString() } : undefined)
      assert.deepEqual(parseRoot(`/ipns/${key.toString()}`), isRoot ? { name: key.toString(base36) } : undefined)
      // as peer ids are written
      const bare = base58btc.baseEncode(multihash.bytes)
      assert.deepEqual(parseRoot(`/ipns/${bare}`), isRoot ? { name: key.toString(base36) } : undefined)
    })
  }

  for (const [what, text] of [
    ['a CID', `z${'2'.repeat(30_000)}`],
    ['a key', `/ipns/${'2'.repeat(30_000)}`],
  ] as const) {
    it(`is not looked for in ${what} of 30,000 characters, which would take seconds`, () => {
      const began = performance.now()
      assert.equal(parseRoot(text), undefined)
      assert.ok(performance.now() - began < 500)
    })
  }

  it('is hardly ever a word', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9]{1,40}$/), word => parseRoot(word) === undefined),
      { numRuns: 2000 },
    )
  })

  it('of IPNS can be a repository name too', () => {
    for (const text of [key, `/ipns/${peerId}`, '/ipns/example.com']) {
      assert.deepEqual(parseRoot(parseName(toDockerFormat(text))), parseRoot(text))
      assert.deepEqual(parseRoot(toIpfsFormat(text)!), parseRoot(text))
    }
  })
})
