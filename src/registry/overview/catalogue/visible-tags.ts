import type { Caller } from '../../../access/caller.ts'
import { TimeSlice } from '../../../scheduling/time-slice.ts'
import type { CatalogueTag } from './catalogue.ts'

/** Those that the caller may pull */
export async function visibleTags(
  repository: string,
  tags: readonly CatalogueTag[],
  caller: Caller,
): Promise<readonly CatalogueTag[]> {
  if (caller.mayEverywhere('pull')) {
    return tags
  }
  const visible: CatalogueTag[] = []
  const slice = new TimeSlice()
  for (const item of tags) {
    if (caller.may({ action: 'pull', repository, tag: item.tag })) {
      visible.push(item)
    }
    await slice.pause()
  }
  return visible
}
