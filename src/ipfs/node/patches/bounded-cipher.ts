import { preSharedKey } from '@libp2p/pnet'
import { multiaddrConnectionPair } from '@libp2p/utils'
import type { Patches, Shape } from './patches.ts'

/*
 * The cipher of private swarms in small steps
 *
 * xsalsa20 1.2.0, which @libp2p/pnet 3 uses, has one WebAssembly memory for the ciphers of all connections, of 640 KiB
 * at first. A larger message makes it grow, which leaves the other ciphers with a memory of length 0: each of them
 * makes it grow again at its next message, until it can't, and the process ends with an uncaught RangeError. So a
 * message that might not fit is given to the cipher in pieces.
 */

const maxStepBytes = 64 * 1024

export interface Cipher {
  update: (input: Uint8Array) => Uint8Array
}

/** Far more than a connection in memory takes; milliseconds */
const checkTimeout = 30_000

const connectionShape: Shape = { inboundXor: 'object', outboundXor: 'object' }
const cipherShape: Shape = { update: 'function' }

export function boundedCipher(cipher: Cipher): Cipher {
  return {
    update: input => {
      if (input.byteLength <= maxStepBytes) {
        return cipher.update(input)
      }
      const output = new Uint8Array(input.byteLength)
      for (let start = 0; start < input.byteLength; start += maxStepBytes) {
        output.set(cipher.update(input.subarray(start, start + maxStepBytes)), start)
      }
      return output
    },
  }
}

type Init = Parameters<typeof preSharedKey>[0]

/** The library's protector of connections, for messages of any length */
export function boundedPreSharedKey(patches: Patches, init: Init): ReturnType<typeof preSharedKey> {
  const create = preSharedKey(init)
  return () => {
    const protector = create()
    const protect = protector.protect.bind(protector)
    protector.protect = async (...args) => {
      const connection = await protect(...args)
      patches.fits('@libp2p/pnet', connection, connectionShape)
      const ciphers = connection as unknown as { inboundXor: Cipher; outboundXor: Cipher }
      patches.fits('xsalsa20', ciphers.inboundXor, cipherShape)
      ciphers.inboundXor = boundedCipher(ciphers.inboundXor)
      ciphers.outboundXor = boundedCipher(ciphers.outboundXor)
      return connection
    }
    return protector
  }
}

/**
 * Protects a connection in memory, to find out before the first real one whether the package is as we expect
 *
 * @throws PackageError
 */
export async function checkPreSharedKey(patches: Patches, init: Init): Promise<void> {
  const protector = boundedPreSharedKey(patches, init)()
  const signal = AbortSignal.timeout(checkTimeout)
  await Promise.all(multiaddrConnectionPair().map(async connection => await protector.protect(connection, { signal })))
}
