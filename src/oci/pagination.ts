import { OciError } from './errors.ts'

export interface Page {
  /** At most this many results */
  limit: number
  /** Results after this one, exclusive */
  last: string | undefined
}

/** All of a listing, for work of our own */
export const everything: Page = { limit: -1, last: undefined }

/** A page never holds more than this, whatever `n` asks for */
export const maxPageSize = 10_000

/**
 * Reads `n` and `last` of a listing
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
 * @throws OciError PAGINATION_NUMBER_INVALID
 */
export function parsePage(query: { n?: unknown; last?: unknown }): Page {
  const { n, last } = query
  if (n !== undefined && (typeof n !== 'string' || !/^\d{1,15}$/.test(n))) {
    throw new OciError('PAGINATION_NUMBER_INVALID', { detail: { n: typeof n === 'string' ? n.slice(0, 50) : null } })
  }
  return {
    limit: n === undefined ? maxPageSize : Math.min(Number(n), maxPageSize),
    last: typeof last === 'string' && last !== '' ? last : undefined,
  }
}
