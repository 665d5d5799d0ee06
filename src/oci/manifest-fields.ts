import { OciError } from './errors.ts'

/**
 * @returns undefined where the field is absent or null
 * @throws OciError MANIFEST_INVALID where it is something else than `what`
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
