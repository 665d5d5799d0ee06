import { preSharedKey } from '@libp2p/pnet'

/*
 * The cipher of private swarms in small steps
 *
 * xsalsa20 1.2.0, which @libp2p/pnet 3 uses, has one WebAssembly memory for the ciphers of all connections, of 640 KiB at first. A larger message makes it
 * grow, which leaves the other ciphers with a memory of length 0: each of them then has it grow once more, until it can't, and the process ends
 * with an uncaught RangeError. So no message is given to it whole that might not fit.
 */

const maxStepBytes = 64 * 1024

export interface Cipher {
  update: (input: Uint8Array) => Uint8Array
}

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

/** As the library's own, whatever the length of messages */
export function boundedPreSharedKey(...args: Parameters<typeof preSharedKey>): ReturnType<typeof preSharedKey> {
  const create = preSharedKey(...args)
  return () => {
    const protector = create()
    const protect = protector.protect.bind(protector)
    protector.protect = async (...args) => {
      const connection = await protect(...args)
      const ciphers = connection as unknown as { inboundXor: Cipher; outboundXor: Cipher }
      ciphers.inboundXor = boundedCipher(ciphers.inboundXor)
      ciphers.outboundXor = boundedCipher(ciphers.outboundXor)
      return connection
    }
    return protector
  }
}
