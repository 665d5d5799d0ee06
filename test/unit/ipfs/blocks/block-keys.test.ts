import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create } from 'multiformats/hashes/digest'
import { blockKeys } from '../../../../src/ipfs/blocks/block-keys.ts'

test('a block that lies in its own CID does not pass for one whose hash begins alike', () => {
  const hash = createHash('sha256').update(randomBytes(100)).digest()
  const block = CID.createV1(raw.code, create(0x12, new Uint8Array(hash)))
  const key = new Uint8Array(hash.subarray(0, 16))
  const inline = CID.createV1(raw.code, create(0x00, key))
  assert.deepEqual(Buffer.from(blockKeys([block])), Buffer.from(key))
  assert.deepEqual(blockKeys([inline]), new Uint8Array())
})
