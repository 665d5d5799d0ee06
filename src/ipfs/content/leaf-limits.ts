/**
 * How many leaves of a file are in memory at a time, 1 MiB each. More of them hide the time that each takes to come or
 * go, and cost that much more memory for each blob that is pushed or pulled.
 */

/** Leaves that a reader asks for beyond the one that is being sent, by where they come from */
export const leavesReadAhead = {
  /** The blockstore on this machine: enough to keep its read threads busy */
  disk: 4,
  /** The same, for fsck, backups and others that compare each block with its CID and are in no hurry */
  verified: 2,
  /** An HTTP gateway, which gets a request for each leaf */
  gateway: 8,
  /** Peers: enough for one that is some milliseconds away */
  peers: 16,
} as const

/** Leaves of a pushed file that are hashed or written at a time */
export const leavesInFlight = 8

/** Unused buffers that a reader or writer keeps for the next pull or push */
export const maxFreeBuffers = 16
