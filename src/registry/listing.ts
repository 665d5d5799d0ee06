import type { Page } from '../oci/pagination.ts'
import type { Listing } from './repository.ts'

export interface TakePageOptions<T> {
  /** A page ends before its items are larger than this together; its first one may be */
  maxBytes: number
  bytes: (item: T) => number
}

/**
 * Takes one page
 *
 * @param list lists what comes after `page.last`; it is asked for one item more than the page holds, to see whether there is more
 */
export async function takePage<T>(
  page: Page,
  list: (page: Page) => AsyncIterable<T>,
  options?: TakePageOptions<T>,
): Promise<Listing<T>> {
  const items: T[] = []
  let bytes = 0
  if (page.limit === 0) {
    return { items, more: false }
  }
  for await (const item of list({ ...page, limit: page.limit + 1 })) {
    bytes += options?.bytes(item) ?? 0
    if (items.length === page.limit || (items.length > 0 && options !== undefined && bytes > options.maxBytes)) {
      return { items, more: true }
    }
    items.push(item)
  }
  return { items, more: false }
}
