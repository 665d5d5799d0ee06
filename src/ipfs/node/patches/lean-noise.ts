import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import { Uint8ArrayList } from 'uint8arraylist'
import type { Patches, Shape } from './patches.ts'
import type { ConnectionEncrypter, SecuredConnection } from '@libp2p/interface'

/*
 * Noise with half the work per message
 *
 * @chainsafe/libp2p-noise 17 turns the key into OpenSSL's form for every message of 64 KiB, which takes as long as half
 *   of the decryption, and copies each message that it decrypts into a buffer that nobody reads. Here both are left
 *   out; its handshake and its format stay as they are.
 */

const algorithm = 'chacha20-poly1305'
const tagLength = 16
/** Bytes below which the library's WebAssembly is faster, according to the library */
const minNativeLength = 1200

type Bytes = Uint8Array | Uint8ArrayList
type Encrypt = (plaintext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array) => Bytes
type Decrypt = (ciphertext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array, into?: Uint8Array) => Bytes

interface Noise extends ConnectionEncrypter {
  crypto: { encrypt: Encrypt; decrypt: Decrypt }
}

interface EncryptedStream {
  handshake: { decrypt: (ciphertext: Bytes) => Bytes }
  decrypt: (message: Bytes) => Uint8ArrayList
}

const name = '@chainsafe/libp2p-noise'
const encrypterShape: Shape = {
  'crypto.encrypt': 'function',
  'crypto.decrypt': 'function',
  secureInbound: 'function',
  secureOutbound: 'function',
}
const streamShape: Shape = { decrypt: 'function', 'handshake.decrypt': 'function' }

export function leanNoise(
  patches: Patches,
): (components: Parameters<ReturnType<typeof noise>>[0]) => ConnectionEncrypter {
  return components => {
    const encrypter = noise()(components)
    if (patches.fits(name, encrypter, encrypterShape)) {
      keepKeys(encrypter as Noise)
      decryptUncopied(encrypter as Noise, patches)
    }
    return encrypter
  }
}

/** Has large messages encrypted and decrypted by a key that stays in OpenSSL's form */
function keepKeys({ crypto }: Noise): void {
  const { encrypt, decrypt } = crypto
  crypto.encrypt = (plaintext, nonce, ad, key) => {
    return plaintext.byteLength < minNativeLength
      ? encrypt(plaintext, nonce, ad, key)
      : encryptNatively(plaintext, nonce, ad, key)
  }
  crypto.decrypt = (ciphertext, nonce, ad, key, into) => {
    return ciphertext.byteLength < minNativeLength
      ? decrypt(ciphertext, nonce, ad, key, into)
      : decryptNatively(ciphertext, nonce, ad, key)
  }
}

/** Leaves out the copy of each message, on every connection */
function decryptUncopied(encrypter: Noise, patches: Patches): void {
  for (const method of ['secureInbound', 'secureOutbound'] as const) {
    const secure = encrypter[method].bind(encrypter) as (...args: unknown[]) => Promise<SecuredConnection<never>>
    Object.assign(encrypter, {
      [method]: async (...args: unknown[]) => {
        const secured = await secure(...args)
        const stream = secured.connection as unknown as EncryptedStream
        if (patches.fits(name, stream, streamShape)) {
          stream.decrypt = message => {
            if (message.byteLength < tagLength) {
              throw new Error('a message of Noise is shorter than its tag')
            }
            return new Uint8ArrayList(stream.handshake.decrypt(message))
          }
        }
        return secured
      },
    })
  }
}

const keyObjects = new WeakMap<Uint8Array, KeyObject>()

/** A connection has one key for each direction, and hands over the same object each time */
function keyObject(key: Uint8Array): KeyObject {
  let object = keyObjects.get(key)
  if (object === undefined) {
    object = createSecretKey(key)
    keyObjects.set(key, object)
  }
  return object
}

function encryptNatively(plaintext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array): Uint8ArrayList {
  const cipher = createCipheriv(algorithm, keyObject(key), nonce, { authTagLength: tagLength })
  cipher.setAAD(ad, { plaintextLength: plaintext.byteLength })
  const output = new Uint8ArrayList()
  for (const piece of pieces(plaintext)) {
    output.append(cipher.update(piece))
  }
  // a stream cipher holds nothing back
  cipher.final()
  output.append(cipher.getAuthTag())
  return output
}

/** @throws Error if the tag does not match the message */
function decryptNatively(ciphertext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array): Uint8ArrayList {
  const length = ciphertext.byteLength - tagLength
  const decipher = createDecipheriv(algorithm, keyObject(key), nonce, { authTagLength: tagLength })
  decipher.setAAD(ad, { plaintextLength: length })
  decipher.setAuthTag(ciphertext.subarray(length))
  const output = new Uint8ArrayList()
  for (const piece of pieces(
    ciphertext instanceof Uint8Array ? ciphertext.subarray(0, length) : ciphertext.sublist(0, length),
  )) {
    output.append(decipher.update(piece))
  }
  decipher.final()
  return output
}

function pieces(bytes: Bytes): Iterable<Uint8Array> {
  return bytes instanceof Uint8Array ? [bytes] : bytes
}
