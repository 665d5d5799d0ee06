import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { ListingBounds, ListingRefused } from '../../../../../src/registry/overview/files/listing-bounds.ts'
import { unpackedLayer } from '../../../../../src/registry/overview/files/unpacked-layer.ts'
import { OciError } from '../../../../../src/oci/errors.ts'
import { randomBytes } from '../../../../fixtures/images.ts'

const signal = new AbortController().signal
/** A part of zstd data that is no data, as zstd:chunked has at its end */
const skippable = Buffer.concat([Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0]), Buffer.from('note')])

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) {
    yield bytes.subarray(at, at + size)
  }
}

async function unpack(bytes: Buffer, size = 65_536): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(unpackedLayer(inPieces(bytes, size), new ListingBounds(), signal)))
}

async function refusalOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => undefined,
    (err: unknown) => (err instanceof ListingRefused ? err.refusal : err),
  )
}

describe('a layer', () => {
  const plain = Buffer.concat([randomBytes(300_000, 'a layer'), Buffer.alloc(300_000)])
  const zstd = (bytes: Buffer, checksum = 0): Buffer =>
    zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: checksum } })
  const forms: Record<string, Buffer> = {
    'as it is': plain,
    'by gzip': gzipSync(plain),
    'by gzip in several members': Buffer.concat([gzipSync(plain.subarray(0, 1000)), gzipSync(plain.subarray(1000))]),
    'by zstd': zstd(plain),
    'by zstd in many frames': Buffer.concat([
      zstd(plain.subarray(0, 10)),
      zstd(plain.subarray(10, 10)),
      skippable,
      zstd(plain.subarray(10, 299_000), 1),
      zstd(plain.subarray(299_000)),
      skippable,
    ]),
  }
  for (const [form, bytes] of Object.entries(forms)) {
    it(`is unpacked ${form}, however its bytes come`, async () => {
      for (const size of [bytes.byteLength, 65_536, 1009]) {
        assert.ok((await unpack(bytes, size)).equals(plain), `${size}`)
      }
    })
  }

  it('is unpacked where each byte of a frame comes by itself', async () => {
    const bytes = Buffer.concat([
      zstd(Buffer.from('a')),
      skippable,
      zstd(Buffer.from('bcd'), 1),
      zstd(Buffer.alloc(5000)),
    ])
    assert.equal((await unpack(bytes, 1)).toString(), `abcd${'\0'.repeat(5000)}`)
  })

  it('is unpacked from pieces that are overwritten by the next ones, as those of a pull are', async () => {
    for (const [form, bytes] of Object.entries(forms)) {
      const pieces = async function* (): AsyncGenerator<Uint8Array> {
        const piece = Buffer.alloc(1000)
        for (let at = 0; at < bytes.byteLength; at += piece.byteLength) {
          const length = bytes.copy(piece, 0, at, at + piece.byteLength)
          yield piece.subarray(0, length)
          piece.fill(0xff)
        }
      }
      const read = await Array.fromAsync(unpackedLayer(pieces(), new ListingBounds(), signal))
      assert.ok(Buffer.concat(read).equals(plain), form)
    }
  })

  it('of nothing is nothing', async () => {
    assert.equal((await unpack(Buffer.alloc(0))).byteLength, 0)
    assert.equal((await unpack(Buffer.from('ab'))).toString(), 'ab')
  })

  it('is malformed where its compression is', async () => {
    for (const bytes of [forms['by gzip']!, forms['by zstd']!]) {
      assert.equal(await refusalOf(unpack(bytes.subarray(0, 5000))), 'malformed')
      const damaged = Buffer.from(bytes)
      damaged.fill(0xff, 3000, 3100)
      damaged.fill(0xff, 5, 20)
      assert.equal(await refusalOf(unpack(damaged)), 'malformed')
    }
  })

  it('is refused where it unpacks to too much', async () => {
    const zeros = Buffer.alloc(16 * 1024 * 1024)
    for (const part of [gzipSync(zeros), zstd(zeros)]) {
      const bomb = Buffer.concat(Array<Buffer>(40).fill(part))
      assert.ok(bomb.byteLength < 1024 * 1024)
      let unpacked = 0
      const read = async (): Promise<void> => {
        for await (const chunk of unpackedLayer(inPieces(bomb, 65_536), new ListingBounds(), signal)) {
          unpacked += chunk.byteLength
        }
      }
      assert.equal(await refusalOf(read()), 'unpacks to too much')
      assert.ok(unpacked <= 512 * 1024 * 1024)
    }
  })

  it('that can’t be read is no malformed one', async () => {
    const missing = new OciError('UNAVAILABLE')
    for (const form of ['by gzip', 'by zstd', 'as it is']) {
      const bytes = async function* (): AsyncGenerator<Uint8Array> {
        yield forms[form]!.subarray(0, 1000)
        throw missing
      }
      const read = Array.fromAsync(unpackedLayer(bytes(), new ListingBounds(), signal))
      assert.equal(await refusalOf(read), missing, form)
    }
  })

  it('is read no further once nobody wants it, and what it is read from is closed', async () => {
    for (const form of ['by gzip', 'by zstd', 'as it is']) {
      let isClosed = false
      const bytes = async function* (): AsyncGenerator<Uint8Array> {
        try {
          for (;;) {
            yield forms[form]!
          }
        } finally {
          isClosed = true
        }
      }
      const controller = new AbortController()
      const read = async (): Promise<void> => {
        for await (const _chunk of unpackedLayer(bytes(), new ListingBounds(), controller.signal)) {
          controller.abort()
        }
      }
      await assert.rejects(read(), { name: 'AbortError' })
      assert.equal(isClosed, true, form)
    }
  })
})
