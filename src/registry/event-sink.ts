import type { EventOrigin, EventRecord } from '../index/events.ts'
import type { IndexChange } from '../index/index.ts'

export type EventKind = EventRecord['kind']
export type NewEvent = Omit<EventRecord, 'time'>
export type { EventOrigin }

/**
 * Hears what happens in the registry, for whoever wants to know it. The registry does not know who that is.
 */
export interface EventSink {
  /** Whether anybody wants to hear of such events now; what is nobody's concern need not be looked up */
  wants: (kind: EventKind) => boolean
  /**
   * Commits a change together with the events that tell of it: a crash leaves both or neither. Those of one tag are
   * told in the order in which they were committed, so the caller holds the lock of the repository.
   *
   * @param describe is called only where somebody wants to hear of some event
   * @throws as `change.commit`; nothing is told then
   */
  commit: (change: IndexChange, describe: () => readonly NewEvent[]) => Promise<void>
  /** Tells of an event that comes with no change. Returns at once; a crash within the next second may lose it. */
  raise: (event: NewEvent) => void
}

/** Commits a change durably, with its events where somebody may want them */
export async function commitTelling(
  events: Pick<EventSink, 'commit'> | undefined,
  change: IndexChange,
  describe: () => readonly NewEvent[],
): Promise<void> {
  await (events === undefined ? change.commit({ durable: true }) : events.commit(change, describe))
}
