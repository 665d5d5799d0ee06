import type { TagChange } from '../../index/history-index.ts'
import type { EventOrigin, NewEvent } from '../../registry/event-sink.ts'
import type { Plan } from './past-state.ts'

/** One event for each tag and for each manifest that goes */
export function eventsOf(
  repository: string,
  tags: readonly TagChange[],
  { removed }: Plan,
  origin: EventOrigin | undefined,
): NewEvent[] {
  const why = { reason: 'undo', origin }
  return [
    ...tags.flatMap(({ tag, before, after }): NewEvent[] => {
      const digest = (after ?? before)?.digest
      const kind = after === undefined ? 'delete' : before === undefined ? 'push' : 'tag'
      return digest === undefined ? [] : [{ kind, repository, tag, digest, previous: after && before?.digest, ...why }]
    }),
    ...removed.map((digest): NewEvent => ({ kind: 'delete', repository, digest, ...why })),
  ]
}
