import { hash } from 'node:crypto'
import type { Digest } from '../../../oci/digest.ts'
import { segmentOf } from './fetch-plan.ts'

/** A number for an appliance and a blob, from which follows where it stands in line for each part of the blob */
export function seedOf(digest: Digest, peer: string): number {
  return hash('sha256', `${digest} ${peer}`, 'buffer').readUInt32LE()
}

/**
 * How many of the others that fetch a blob are to ask upstream for a segment of it before this appliance does. All of
 * them reckon alike, without a message: each segment has an order of its own (rendezvous hashing), of which nothing
 * changes but the place of whoever comes or goes.
 *
 * @param self seed of this appliance
 * @param others seeds of the others
 */
export function placeInLine(leaf: number, self: number, others: readonly number[]): number {
  const segment = segmentOf(leaf)
  const own = mix(self, segment)
  return others.filter(other => mix(other, segment) > own).length
}

/** The finalizer of MurmurHash3, by which each bit of both numbers changes each bit of the result */
function mix(seed: number, segment: number): number {
  let mixed = seed ^ Math.imul(segment + 1, 0x9e3779b1)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
