import { isObject } from '../../../oci/manifest/manifest-fields.ts'
import { jsonObject } from '../formats/signature-format.ts'
import { header, type Envelope } from './envelope.ts'

const base64 = /^[A-Za-z0-9+/]+={0,2}$/
const base64url = /^[A-Za-z0-9_-]+$/
/** RFC 3339 */
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/

/**
 * @returns undefined where the bytes are none
 * @see https://github.com/notaryproject/specifications/blob/main/specs/signature-envelope-jws.md
 */
export function readJwsEnvelope(bytes: Uint8Array): Envelope | undefined {
  const { header: unsigned, payload, protected: signed, signature } = jsonObject(bytes) ?? {}
  if (!isBase64url(payload) || !isBase64url(signed) || !isBase64url(signature) || !isObject(unsigned)) {
    return undefined
  }
  const headers = jsonObject(Buffer.from(signed, 'base64url'))
  const chain: unknown = unsigned['x5c']
  const critical: unknown = headers?.['crit'] ?? []
  if (headers === undefined || !Array.isArray(critical) || !isChain(chain)) {
    return undefined
  }
  return {
    algorithm: headers['alg'],
    contentType: headers['cty'],
    critical,
    headers: Object.keys(headers),
    scheme: headers[header.scheme],
    signed: timeOf(headers[header.signingTime]),
    expires: timeOf(headers[header.expiry]),
    chain: chain.map(text => Buffer.from(text, 'base64')),
    payload: Buffer.from(payload, 'base64url'),
    isSignedBy: async (key, algorithm) => {
      const { flattenedVerify } = await import('jose')
      const crit = Object.fromEntries(critical.map(name => [String(name), true]))
      try {
        await flattenedVerify({ payload, protected: signed, signature }, key, { algorithms: [algorithm], crit })
        return true
      } catch {
        return false
      }
    },
  }
}

function isBase64url(value: unknown): value is string {
  return typeof value === 'string' && base64url.test(value)
}

function isChain(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(text => typeof text === 'string' && base64.test(text))
}

function timeOf(value: unknown): number | undefined {
  if (value === undefined) {
    return undefined
  }
  return typeof value === 'string' && time.test(value) ? Date.parse(value) : Number.NaN
}
