import { createPublicKey, verify, type KeyObject } from 'node:crypto'

/** A key whose signatures count, by the name that people know it by */
export interface PublicKey {
  name: string
  key: KeyObject
  /** With which a signature may have been made; undefined: the algorithm has its own */
  hashes: ReadonlyArray<string | undefined>
}

const onePublicKey = /^\s*-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----\s*$/
const minRsaBits = 2048

/**
 * Reads a public key in PEM (SPKI), as cosign and openssl write it
 *
 * @throws Error whose message says what is wrong, and shows nothing of the text
 */
export function parsePublicKey(name: string, text: string): PublicKey {
  if (text.includes('PRIVATE KEY')) {
    throw new Error('holds a private key, which belongs to whoever signs: give the public one')
  }
  if (!onePublicKey.test(text)) {
    throw new Error('must hold one public key in PEM, from BEGIN PUBLIC KEY to END PUBLIC KEY')
  }
  let key: KeyObject
  try {
    key = createPublicKey(text)
  } catch (err) {
    throw new Error('holds no valid public key', { cause: err })
  }
  return { name, key, hashes: hashesOf(key) }
}

/**
 * Whether a signature is one of these bytes by this key; computed on another thread
 *
 * @param signature as DER where the algorithm is ECDSA; anything else is none
 */
export async function isSignedBy(
  { hashes, key }: PublicKey,
  bytes: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  for (const hash of hashes) {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    verify(hash, bytes, key, signature, (err, isValid) => {
      resolve(err === null && isValid)
    })
    if (await promise) {
      return true
    }
  }
  return false
}

/** @throws Error where the algorithm is not one of those that cosign verifies */
function hashesOf({ asymmetricKeyDetails, asymmetricKeyType }: KeyObject): PublicKey['hashes'] {
  const { modulusLength = 0, namedCurve } = asymmetricKeyDetails ?? {}
  if (asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') {
    return ['sha256']
  }
  if (asymmetricKeyType === 'ec' && namedCurve === 'secp384r1') {
    // cosign 2 signs with SHA-256 whatever the curve, cosign 3 with the hash of the curve
    return ['sha384', 'sha256']
  }
  if (asymmetricKeyType === 'ed25519') {
    return [undefined]
  }
  if (asymmetricKeyType === 'rsa' && modulusLength >= minRsaBits) {
    return ['sha256']
  }
  throw new Error(`must hold a key of ECDSA P-256 or P-384, Ed25519, or RSA of at least ${minRsaBits} bits`)
}
