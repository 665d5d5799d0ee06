import type { Page } from '../oci/pagination.ts'
import type { Listing } from './repository.ts'

export interface TakePageOptions<T> {
  /** A page ends before its items together exceed this size; a first item that is larger still gets a page */
  maxBytes: number
  bytes: (item: T) => number
}

/**
 * Takes one page of a listing
 *
 * @param list lists the items after `page.last`. It is asked for one item more than fits on the page, to see whether
 *   there are more.
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
