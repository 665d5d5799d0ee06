import { EventEmitter } from 'node:events'
import type { CID } from 'multiformats/cid'

interface Events {
  /** A block was read whose bytes do not match its CID */
  damaged: [cid: CID]
  /** A block of content that is kept here is missing */
  missing: [cid: CID]
  /** There was no room for a block; so many bytes are wanted */
  full: [bytes: number]
  /** A block was written that can be fetched again, of so many bytes */
  evictable: [bytes: number]
}

/**
 * What the stores report while they are used, for the parts that are built on them: the repairer and the garbage
 * collector
 */
export class StoreEvents extends EventEmitter<Events> {}
