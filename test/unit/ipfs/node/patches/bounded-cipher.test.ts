import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { boundedCipher, type Cipher } from '../../../../../src/ipfs/node/patches/bounded-cipher.ts'

// without types; it comes with @libp2p/pnet
const name: string = 'xsalsa20'
const { default: xsalsa20 } = (await import(name)) as { default: (nonce: Uint8Array, key: Uint8Array) => Cipher }

const [nonce, key] = [randomBytes(24), randomBytes(32)]
const sizes = [0, 1, 63, 64, 65_535, 65_536, 65_537, 200_000, 300_001]

describe('the cipher of a private swarm', () => {
  it('gives the same bytes in small steps, whatever the length of messages', () => {
    // as the library has it where all fits
    const whole = Buffer.from(xsalsa20(nonce, key).update(new Uint8Array(640_000)).subarray(0, 640_000))
    const cipher = boundedCipher(xsalsa20(nonce, key))
    let offset = 0
    for (const size of sizes.filter(size => size < 300_000)) {
      assert.ok(
        Buffer.from(cipher.update(new Uint8Array(size))).equals(whole.subarray(offset, offset + size)),
        `${size} bytes`,
      )
      offset += size
    }
  })

  it('survives large messages of several connections in turn', () => {
    const ciphers = Array.from({ length: 4 }, () => boundedCipher(xsalsa20(nonce, key)))
    for (let i = 0; i < 2000; i++) {
      ciphers[i % 4]!.update(new Uint8Array(i % 100 === 0 ? 2_000_000 : 100))
    }
  })
})
