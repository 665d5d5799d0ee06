import type { EventRecord } from '../../index/events.ts'

/** An event with the id by which it is known everywhere; ids sort in the order in which the events are told */
export interface RegistryEvent extends EventRecord {
  id: string
}
