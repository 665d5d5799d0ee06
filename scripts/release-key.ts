import { createPrivateKey, sign, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'

/**
 * Reads the private key of a release: PEM, of the curve P-256, the one kind that cosign and openssl both take;
 * `RELEASE_KEY_PASSPHRASE` opens an encrypted one
 *
 * @throws Error if the file holds another key or none; the message never quotes the file
 */
export async function readReleaseKey(file: string): Promise<KeyObject> {
  const passphrase = process.env['RELEASE_KEY_PASSPHRASE']
  const pem = await readFile(file)
  let key: KeyObject
  try {
    key = createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) })
  } catch {
    throw new Error(`${file} holds no private key in PEM, or RELEASE_KEY_PASSPHRASE does not open it`)
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new Error(`${file} holds a key of another kind: it must be of the curve P-256 (prime256v1)`)
  }
  return key
}

/** A signature as `cosign sign-blob` writes it: ECDSA with SHA-256, DER in base64 */
export function signatureOf(bytes: Uint8Array, key: KeyObject): string {
  return sign('sha256', bytes, { key, dsaEncoding: 'der' }).toString('base64')
}
