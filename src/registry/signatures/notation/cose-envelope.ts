import { constants, verify, type KeyObject } from 'node:crypto'
import { decode, encode, Tagged } from 'cborg'
import { header, type Envelope } from './envelope.ts'

/** Labels of headers and algorithms of COSE (RFC 9052, 9053, 9360) */
const [algorithmLabel, criticalLabel, contentTypeLabel, chainLabel] = [1, 2, 3, 33]
const algorithms = new Map<unknown, string>([
  [-7, 'ES256'],
  [-35, 'ES384'],
  [-36, 'ES512'],
  [-37, 'PS256'],
  [-38, 'PS384'],
  [-39, 'PS512'],
])
/** Names of headers that have a number instead */
const names = new Map<unknown, string>([
  [algorithmLabel, 'alg'],
  [criticalLabel, 'crit'],
  [contentTypeLabel, 'cty'],
])
const [signTag, timeTag] = [18, 1]
const options = { useMaps: true, rejectDuplicateMapKeys: true, tags: Tagged.preserve(signTag, timeTag) }
const second = 1000

/**
 * @returns undefined where the bytes are none
 * @see https://github.com/notaryproject/specifications/blob/main/specs/signature-envelope-cose.md
 */
export function readCoseEnvelope(bytes: Uint8Array): Envelope | undefined {
  try {
    return envelopeOf(decode(bytes, options))
  } catch {
    // no CBOR, or none of the kind that envelopes are made of
    return undefined
  }
}

function envelopeOf(value: unknown): Envelope | undefined {
  const parts = value instanceof Tagged && value.tag === signTag ? (value.value as unknown) : undefined
  if (!Array.isArray(parts) || parts.length !== 4) {
    return undefined
  }
  const [signed, unsigned, payload, signature] = parts as unknown[]
  if (!isBytes(signed) || !isBytes(payload) || !isBytes(signature) || !(unsigned instanceof Map)) {
    return undefined
  }
  const headers: unknown = decode(signed, options)
  const chain: unknown = unsigned.get(chainLabel)
  if (!(headers instanceof Map) || !Array.isArray(chain) || !chain.every(isBytes)) {
    return undefined
  }
  const critical: unknown = headers.get(criticalLabel) ?? []
  if (!Array.isArray(critical)) {
    return undefined
  }
  const toBeSigned = encode(['Signature1', signed, new Uint8Array(), payload])
  return {
    algorithm: algorithms.get(headers.get(algorithmLabel)),
    contentType: headers.get(contentTypeLabel),
    critical: critical.map((label: unknown) => names.get(label) ?? label),
    headers: [...headers.keys()].map(label => names.get(label) ?? label),
    scheme: headers.get(header.scheme),
    signed: timeOf(headers.get(header.signingTime)),
    expires: timeOf(headers.get(header.expiry)),
    chain,
    payload,
    isSignedBy: async (key, algorithm) => await isSigned(toBeSigned, signature, key, algorithm),
  }
}

async function isSigned(bytes: Uint8Array, signature: Uint8Array, key: KeyObject, algorithm: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const scheme = algorithm.startsWith('PS')
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { dsaEncoding: 'ieee-p1363' as const }
  verify(`sha${algorithm.slice(2)}`, bytes, { key, ...scheme }, signature, (err, isValid) => {
    resolve(err === null && isValid)
  })
  return await promise
}

function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array
}

function timeOf(value: unknown): number | undefined {
  if (value === undefined) {
    return undefined
  }
  const isTime = value instanceof Tagged && value.tag === timeTag && typeof value.value === 'number'
  return isTime ? value.value * second : Number.NaN
}
