import { shortKeysOf } from './block-lists.ts'
import type { ChangeRecord, OrderedChange } from './history-index.ts'
import type { Operation } from './index-writer.ts'
import { encodeValue } from './json-value.ts'
import { keys, shortKey } from './keys.ts'

export const noValue = new Uint8Array()

/** What is written for a change, so that it is remembered, and whether it keeps something */
export function remembered(
  repository: string,
  state: number,
  record: ChangeRecord,
): { keeps: boolean; operations: Operation[] } {
  const value = encodeValue(record)
  const kept = keptBlocks(record)
  const keeps = kept.length > 0
  const order: Omit<OrderedChange, 'state'> = { repository, time: record.time, bytes: value.byteLength, keeps }
  const operations: Operation[] = [
    { type: 'put', key: keys.change(repository, state), value },
    { type: 'put', key: keys.changeOrder(state), value: encodeValue(order) },
    ...kept.map(block => ({ type: 'put' as const, key: keys.kept(block, state), value: noValue })),
  ]
  return { keeps, operations }
}

/** Short keys of the blocks of what a change took away; a blob is there by its digest, as its blocks are known by it */
function keptBlocks({ manifests, unlinked }: ChangeRecord): string[] {
  const blocks = manifests.flatMap(({ before }) => [
    ...shortKeysOf(Buffer.from(before?.blocks ?? '', 'base64')),
    ...(before?.links ?? []).map(shortKey),
  ])
  return [...new Set([...blocks, ...unlinked.map(shortKey)])]
}
