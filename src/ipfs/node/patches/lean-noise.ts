import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import { Uint8ArrayList } from 'uint8arraylist'
import type { ConnectionEncrypter, SecuredConnection } from '@libp2p/interface'

/*
 * Noise with half the work for each message
 *
 * @chainsafe/libp2p-noise 17 turns the key into OpenSSL's form for every message of 64 KiB, which takes as long as half of the decryption, and
 * copies each message that it decrypts into a buffer that nobody reads. Both could be mended there; here its handshake and its format stay.
 */

const algorithm = 'chacha20-poly1305'
const tagLength = 16
/** Below this the library's WebAssembly is faster, as it says itself */
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

export function leanNoise(): (components: Parameters<ReturnType<typeof noise>>[0]) => ConnectionEncrypter {
  return components => {
    const encrypter = noise()(components) as Noise
    const { encrypt, decrypt } = encrypter.crypto
    encrypter.crypto.encrypt = (plaintext, nonce, ad, key) => {
      return plaintext.byteLength < minNativeLength
        ? encrypt(plaintext, nonce, ad, key)
        : encryptNatively(plaintext, nonce, ad, key)
    }
    encrypter.crypto.decrypt = (ciphertext, nonce, ad, key, into) => {
      return ciphertext.byteLength < minNativeLength
        ? decrypt(ciphertext, nonce, ad, key, into)
        : decryptNatively(ciphertext, nonce, ad, key)
    }
    for (const method of ['secureInbound', 'secureOutbound'] as const) {
      const secure = encrypter[method].bind(encrypter) as (...args: unknown[]) => Promise<SecuredConnection<never>>
      Object.assign(encrypter, {
        [method]: async (...args: unknown[]) => {
          const secured = await secure(...args)
          decryptWithoutCopy(secured.connection as unknown as EncryptedStream)
          return secured
        },
      })
    }
    return encrypter
  }
}

function decryptWithoutCopy(stream: EncryptedStream): void {
  if (typeof stream.decrypt !== 'function' || typeof stream.handshake?.decrypt !== 'function') {
    throw new Error('This version of @chainsafe/libp2p-noise keeps its parts elsewhere')
  }
  stream.decrypt = message => {
    if (message.byteLength < tagLength) {
      throw new Error('A message is shorter than its tag')
    }
    return new Uint8ArrayList(stream.handshake.decrypt(message))
  }
}

const keyObjects = new WeakMap<Uint8Array, KeyObject>()

/** A connection has one key for each direction, which stays the same object */
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

/** @throws Error where the tag does not belong to the message */
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
