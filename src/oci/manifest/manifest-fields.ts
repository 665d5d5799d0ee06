import { OciError } from '../errors.ts'

/** @throws OciError MANIFEST_INVALID where the bytes are not UTF-8 */
export function decodeJson(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (err) {
    throw notJson(err)
  }
}

/** @throws OciError MANIFEST_INVALID */
export function parseJsonObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (err) {
    throw notJson(err)
  }
  if (!isObject(value)) {
    throw new OciError('MANIFEST_INVALID', { detail: { reason: 'is not a JSON object' } })
  }
  return value
}

function notJson(cause: unknown): OciError {
  return new OciError('MANIFEST_INVALID', { detail: { reason: 'is not JSON in UTF-8' }, cause })
}

/**
 * @param what the field must be, for the message
 * @returns undefined where the field is absent or null
 * @throws OciError MANIFEST_INVALID where the field is something else
 */
export function optional<T>(
  json: Record<string, unknown>,
  field: string,
  is: (value: unknown) => value is T,
  what: string,
): T | undefined {
  const value = json[field]
  if (value === undefined || value === null) {
    return undefined
  }
  if (!is(value)) {
    throw invalid(field, `must be ${what}`)
  }
  return value
}

export function invalid(field: string, reason: string): OciError {
  return new OciError('MANIFEST_INVALID', { detail: { field, reason } })
}

export function isString(value: unknown): value is string {
  return typeof value === 'string'
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isStringMap(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every(isString)
}

export function notEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}
