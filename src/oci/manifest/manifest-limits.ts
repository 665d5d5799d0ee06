import { OciError } from '../errors.ts'
import { exceededLimit } from './json-limits.ts'

/** What a manifest may hold at most */
export interface ManifestLimits {
  /** Levels of nesting */
  depth: number
  /** Descriptors in the whole manifest: the registry looks up each one and links it from the image root */
  descriptors: number
}

export const defaultManifestLimits: ManifestLimits = { depth: 64, descriptors: 10_000 }
/** A descriptor is an object with a media type, a digest and a size: four JSON values */
const valuesPerDescriptor = 4
/** JSON values beside the descriptors: annotations, platforms and extensions */
const otherValues = 10_000
/** Different member names: those of the specification, and the annotations of many images together */
const maxNames = 1000

/**
 * Checks the bytes before they are parsed, as deeply nested JSON makes `JSON.parse` slow; in steps of a few
 * milliseconds
 *
 * @throws OciError MANIFEST_INVALID
 */
export function* requireJsonWithin(
  bytes: Uint8Array,
  { depth, descriptors }: ManifestLimits,
): Generator<undefined, void, undefined> {
  const excess = yield* exceededLimit(bytes, {
    depth,
    values: otherValues + descriptors * valuesPerDescriptor,
    names: maxNames,
  })
  if (excess !== undefined) {
    throw new OciError('MANIFEST_INVALID', { detail: { reason: excess } })
  }
}

/**
 * Checks the lengths of the descriptor lists before any descriptor is read
 *
 * @throws OciError MANIFEST_INVALID
 */
export function requireShortLists(json: Record<string, unknown>, { descriptors }: ManifestLimits): void {
  const lists = [json.layers, json.manifests, json.blobs].filter(list => Array.isArray(list))
  requireFewDescriptors(
    lists.reduce((total, { length }) => total + length, 0),
    descriptors,
  )
}

/** @throws OciError MANIFEST_INVALID */
export function requireFewDescriptors(count: number, max: number): void {
  if (count > max) {
    throw new OciError('MANIFEST_INVALID', { detail: { reason: `has more than ${max} descriptors` } })
  }
}
