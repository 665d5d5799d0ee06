import type { Page } from '../oci/pagination.ts'
import type { Listing } from './repository.ts'

/**
 * Takes one page
 *
 * @param list lists what comes after `page.last`; it is asked for one item more than the page holds, to see whether there is more
 */
export async function take<T> (page: Page, list: (page: Page) => AsyncIterable<T>): Promise<Listing<T>> {
  const items: T[] = []
  if (page.limit === 0) {
    return { items, more: false }
  }
  for await (const item of list({ ...page, limit: page.limit + 1 })) {
    if (items.length === page.limit) {
      return { items, more: true }
    }
    items.push(item)
  }
  return { items, more: false }
}
