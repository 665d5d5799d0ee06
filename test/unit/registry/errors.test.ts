import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { IndexError } from '../../../src/index/errors.ts'
import {
  BlobTooLargeError,
  DamagedBlockError,
  RefusedDagError,
  RepetitiveFileError,
  StorageFullError,
  UnavailableError,
  isMissingOrDamaged,
  isRefused,
  isUnreadable,
} from '../../../src/ipfs/errors.ts'
import { OciError } from '../../../src/oci/errors.ts'
import { UpstreamError } from '../../../src/registry/upstream.ts'
import { isStorageFull, toOciError, translateErrorsOf } from '../../../src/registry/errors.ts'

const notFound = Object.assign(new Error('no block'), { name: 'NotFoundError' })
const refused = new RefusedDagError('too deep')
const full = new StorageFullError({ limit: 'storage.maxBytes', reason: 'full' })
const indexFull = new IndexError('INDEX_FULL')

describe('an error of an upstream', () => {
  const table = [
    ['unreachable', 'UNAVAILABLE', 503],
    ['denied', 'DENIED', 403],
    ['throttled', 'UNAVAILABLE', 503],
    ['invalid', 'UPSTREAM_INVALID', 502],
  ] as const
  for (const [reason, code, status] of table) {
    it(`because of which it is ${reason} becomes ${code}, and names the upstream`, () => {
      const cause = new UpstreamError('docker.io does not deliver', { upstream: 'docker.io', reason })
      const err = toOciError(cause)
      assert.ok(err instanceof OciError)
      assert.deepEqual(
        [err.code, err.status, err.message, err.headers, err.cause],
        [code, status, 'docker.io does not deliver', {}, cause],
      )
      assert.deepEqual(err.detail, { upstream: 'docker.io' })
    })
  }

  it('tells clients when to come back', () => {
    const err = toOciError(new UpstreamError('later', { upstream: 'docker.io', reason: 'throttled', retryAfter: 7 }))
    assert.deepEqual((err as OciError).headers, { 'Retry-After': '7' })
  })
})

describe('an error of a lower layer', () => {
  const table: Array<[Error, string, unknown]> = [
    [full, 'STORAGE_FULL', { limit: 'storage.maxBytes', reason: 'full' }],
    [indexFull, 'STORAGE_FULL', { limit: 'file system', reason: 'too little is free for the index' }],
    [
      new BlobTooLargeError({ limit: 'file system', maxBytes: 1, bytes: 2 }),
      'BLOB_TOO_LARGE',
      { limit: 'file system', maxBytes: 1, bytes: 2 },
    ],
    [notFound, 'UNAVAILABLE', { reason: 'a block of this content is missing or damaged' }],
    [new DamagedBlockError(), 'UNAVAILABLE', { reason: 'a block of this content is missing or damaged' }],
    [new UnavailableError(), 'UNAVAILABLE', { reason: 'no peer or gateway delivered this content in time' }],
    [new RepetitiveFileError('x'), 'BLOB_UPLOAD_INVALID', { reason: 'the blob repeats itself too often: x' }],
    [refused, 'NAME_UNKNOWN', { reason: 'the registry does not serve this content: too deep' }],
  ]
  for (const [err, code, detail] of table) {
    it(`${err.name} of ${err.message} becomes ${code}`, () => {
      const translated = toOciError(err)
      assert.ok(translated instanceof OciError)
      assert.deepEqual([translated.code, translated.detail, translated.cause], [code, detail, err])
    })
  }

  it('of a refused DAG gets the code that the caller chooses', () => {
    assert.equal((toOciError(refused, 'BLOB_UNKNOWN') as OciError).code, 'BLOB_UNKNOWN')
  })

  it('that no client is told about stays as it is', () => {
    for (const err of [new Error('other'), new IndexError('INDEX_DAMAGED'), new OciError('DENIED'), undefined]) {
      assert.equal(toOciError(err), err)
    }
  })
})

it('a lack of room is one of blocks or of the index', () => {
  assert.deepEqual([full, indexFull, new IndexError('INDEX_LOCKED'), notFound].map(isStorageFull), [
    true,
    true,
    false,
    false,
  ])
})

it('content is missing, damaged or refused', () => {
  const errors = [notFound, new DamagedBlockError(), refused, full, undefined]
  assert.deepEqual(errors.map(isMissingOrDamaged), [true, true, false, false, false])
  assert.deepEqual(errors.map(isRefused), [false, false, true, false, false])
  assert.deepEqual(errors.map(isUnreadable), [true, true, true, false, false])
})

it('items pass, and an error of their source is translated', async () => {
  async function* source(): AsyncGenerator<number> {
    yield 1
    throw notFound
  }
  const passed: number[] = []
  await assert.rejects(
    async () => {
      for await (const item of translateErrorsOf(source())) {
        passed.push(item)
      }
    },
    { code: 'UNAVAILABLE' },
  )
  assert.deepEqual(passed, [1])
})
