import { OciError } from './errors.ts'

export interface Page {
  /** At most this many results */
  limit: number
  /** The page starts after this item; undefined: at the beginning */
  last: string | undefined
}

/** A whole listing, for internal use */
export const everything: Page = { limit: -1, last: undefined }

/** A page never has more items than this, whatever `n` asks for */
export const maxPageSize = 10_000

/**
 * Reads the query parameters `n` and `last` of a listing
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
