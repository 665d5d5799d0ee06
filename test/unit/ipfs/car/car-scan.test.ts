import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import * as raw from 'multiformats/codecs/raw'
import { encodeCar } from '../../../../src/ipfs/car/car.ts'
import { CarFile } from '../../../../src/ipfs/car/car-file.ts'
import { scanCar } from '../../../../src/ipfs/car/car-scan.ts'
import type { Block } from '../../../../src/ipfs/blocks/block.ts'
import { directoryBlock, hashBlock } from '../../../../src/ipfs/dag/encode-node.ts'
import { readAll } from '../../../fixtures/registry.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

let scratch: TemporaryDirectory
let blocks: Block[]
let car: Buffer

before(async () => {
  scratch = await temporaryDirectory('car-scan')
  blocks = [await directoryBlock([])]
  for (const text of ['', 'one', 'a block of some more bytes']) {
    const bytes = Buffer.from(text)
    blocks.push({ cid: await hashBlock(raw.code, bytes), bytes })
  }
  car = await readAll(
    encodeCar(
      blocks[0]!.cid.toString(),
      (async function* () {
        yield* blocks
      })(),
    ),
  )
})
after(async () => {
  await scratch[Symbol.asyncDispose]()
})

async function scan(
  bytes: Uint8Array,
  quick = false,
): Promise<{ root: string | undefined; whole: string[]; damaged: number }> {
  const path = join(scratch.path, 'scanned.car')
  await writeFile(path, bytes)
  await using file = await CarFile.open(path)
  const whole: string[] = []
  let damaged = 0
  const parts = scanCar(file, { quick })
  let next = await parts.next()
  for (; next.done !== true; next = await parts.next()) {
    if ('damage' in next.value) {
      damaged++
    } else {
      const { cid, offset, length, bytes: found } = next.value
      assert.deepEqual(
        Buffer.from(found ?? []),
        quick ? Buffer.alloc(0) : Buffer.from(bytes.subarray(offset, offset + length)),
      )
      whole.push(cid.toString())
    }
  }
  return { root: next.value, whole, damaged }
}

describe('a scan of a CAR', () => {
  it('finds all that is whole', async () => {
    const all = blocks.map(({ cid }) => cid.toString())
    for (const quick of [false, true]) {
      assert.deepEqual(await scan(car, quick), { root: all[0], whole: all, damaged: 0 })
    }
  })

  it('notices each bit that is flipped, and loses what it is in, and what can not be told apart from that', async () => {
    const { root, whole } = await scan(car)
    let kept = 0
    for (let bit = 0; bit < car.byteLength * 8; bit++) {
      const altered = Buffer.from(car)
      altered[bit >> 3]! ^= 1 << (bit & 7)
      const found = await scan(altered)
      assert.ok(found.damaged > 0 || found.root !== root, `bit ${bit}`)
      assert.ok(
        found.whole.every(cid => whole.includes(cid)),
        `bit ${bit}`,
      )
      kept += found.whole.length
    }
    assert.ok(kept > car.byteLength * 8 * 2, `${kept} blocks`)
  })

  it('notices where it is cut short', async () => {
    for (let end = 0; end < car.byteLength; end++) {
      for (const quick of [false, true]) {
        const { damaged, whole } = await scan(car.subarray(0, end), quick)
        // between two blocks nothing tells
        assert.ok(damaged > 0 || whole.length < blocks.length, `at ${end}`)
      }
    }
  })
})
