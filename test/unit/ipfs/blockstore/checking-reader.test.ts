import assert from 'node:assert/strict'
import { rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { ReadWorkers } from '../../../../src/ipfs/blockstore/read-workers.ts'
import { CheckingReader, type CheckingReaderInit } from '../../../../src/ipfs/blockstore/checking-reader.ts'
import { started } from '../../../fixtures/read-workers.ts'
import { randomBytes } from '../../../fixtures/images.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

const bytes = randomBytes(200_000, 'a block')
const cid = CID.createV1(raw.code, await sha256.digest(bytes))
const readers = new ReadWorkers(2)
before(async () => {
  await started(readers)
})
after(async () => {
  await readers.stop()
})

let directory: TemporaryDirectory
let path: string
let damaged: string[]
beforeEach(async () => {
  directory = await temporaryDirectory()
  path = join(directory.path, 'block')
  damaged = []
  await writeFile(path, bytes)
})
afterEach(async () => {
  await directory[Symbol.asyncDispose]()
})

function open(init: CheckingReaderInit = {}): CheckingReader {
  return new CheckingReader({
    onDamaged: cid => {
      damaged.push(cid.toString())
    },
    ...init,
  })
}

async function flip(): Promise<void> {
  const other = Buffer.from(bytes)
  other[100_000]! ^= 1
  await writeFile(path, other)
}

const buffers: Array<[string, (size: number) => Uint8Array | undefined]> = [
  ['into a buffer of its own', () => undefined],
  ['into memory of the caller', size => Buffer.alloc(size)],
  ['into shared memory, by another thread', size => Buffer.from(new SharedArrayBuffer(size))],
]

for (const [name, bufferOf] of buffers) {
  describe(`a block that is read ${name}`, () => {
    const read = async (reader: CheckingReader, of: CID = cid): Promise<Uint8Array> =>
      await reader.read(of, path, bufferOf(1024 * 1024))

    it('is what was written', async () => {
      const reader = open({ readers })
      for (let i = 0; i < 3; i++) {
        assert.ok(Buffer.from(bytes).equals(await read(reader)))
      }
      assert.deepEqual(damaged, [])
    })

    it('may be larger than the buffer', async () => {
      assert.ok(Buffer.from(bytes).equals(await open({ readers }).read(cid, path, bufferOf(1000))))
    })

    it('is compared with a CID by SHA-512, too', async () => {
      const other = CID.createV1(raw.code, await sha512.digest(bytes))
      assert.ok(Buffer.from(bytes).equals(await read(open({ readers }), other)))
      await flip()
      await assert.rejects(read(open({ readers }), other), { name: 'DamagedBlockError' })
    })

    for (const [how, damage] of [
      ['a flipped bit', flip],
      [
        'a truncated file',
        async () => {
          await truncate(path, 1000)
        },
      ],
      [
        'an empty file',
        async () => {
          await truncate(path, 0)
        },
      ],
    ] as const) {
      it(`is refused with ${how}, whether it was right before or not`, async () => {
        const reader = open({ readers })
        await read(reader)
        await damage()
        await assert.rejects(read(reader), {
          name: 'DamagedBlockError',
          message: `block ${cid.toString()} is damaged: its bytes do not match its CID`,
        })
        await assert.rejects(read(open({ readers })), { name: 'DamagedBlockError' })
        assert.deepEqual(damaged, [cid.toString(), cid.toString()])
      })
    }

    it('is refused once it has to be verified again, though its file looks the same', async () => {
      const { atime, mtime } = await stat(path)
      const reader = open({ readers, verifiedFor: 0 })
      await read(reader)
      await flip()
      await utimes(path, atime, mtime)
      await assert.rejects(read(reader), { name: 'DamagedBlockError' })
    })

    it('is not found where its file is gone', async () => {
      const reader = open({ readers })
      await read(reader)
      await rm(path)
      await assert.rejects(read(reader), { name: 'NotFoundError' })
      assert.deepEqual(damaged, [])
    })

    it('is right again once it was written anew', async () => {
      const reader = open({ readers })
      await flip()
      await assert.rejects(read(reader), { name: 'DamagedBlockError' })
      await writeFile(path, bytes)
      assert.ok(Buffer.from(bytes).equals(await read(reader)))
    })
  })
}

it('many blocks are read at a time, each into its own memory', async () => {
  const blocks = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const block = randomBytes(10_000 + i, `block ${i}`)
      const file = join(directory.path, `${i}`)
      await writeFile(file, block)
      return { block, file, cid: CID.createV1(raw.code, await sha256.digest(block)) }
    }),
  )
  const reader = open({ readers })
  await Promise.all(
    blocks.map(async ({ block, file, cid }) => {
      assert.ok(Buffer.from(block).equals(await reader.read(cid, file, Buffer.from(new SharedArrayBuffer(20_000)))))
    }),
  )
})

it('a read fails when the threads end in the middle, and the next one starts another', async () => {
  const own = new ReadWorkers(1)
  try {
    await started(own)
    const reader = open({ readers: own })
    const reads = Array.from(
      { length: 20 },
      async () => await reader.read(cid, path, Buffer.from(new SharedArrayBuffer(bytes.byteLength))),
    )
    const ended = Promise.allSettled(reads)
    await own.stop()
    assert.ok((await ended).some(({ status }) => status === 'rejected'))
    await started(own)
    assert.ok(
      Buffer.from(bytes).equals(await reader.read(cid, path, Buffer.from(new SharedArrayBuffer(bytes.byteLength)))),
    )
  } finally {
    await own.stop()
  }
})

it('a block does not wait until the threads have started', async () => {
  const own = new ReadWorkers(1)
  try {
    const buffer = Buffer.from(new SharedArrayBuffer(bytes.byteLength))
    assert.equal(await own.read(path, buffer, undefined), undefined)
    assert.ok(Buffer.from(bytes).equals(await open({ readers: own }).read(cid, path, buffer)))
    await started(own)
    assert.equal((await own.read(path, buffer, undefined))?.size, bytes.byteLength)
  } finally {
    await own.stop()
  }
})
