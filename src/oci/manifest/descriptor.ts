import { isDigest, type Digest } from '../digest.ts'
import { invalid, isObject, isString } from './manifest-fields.ts'
import { drained, type Steps } from './steps.ts'

/** @see https://github.com/opencontainers/image-spec/blob/main/descriptor.md */
export interface Descriptor {
  mediaType: string
  digest: Digest
  /** Bytes */
  size: number
  urls?: string[]
  annotations?: Record<string, string>
  artifactType?: string
}

/** Descriptors that are read in a few milliseconds, also by code that V8 has not compiled yet */
const descriptorsPerStep = 1024

/** @throws OciError MANIFEST_INVALID, its detail naming the field */
export function descriptors(value: unknown, field: string): Descriptor[] {
  return drained(descriptorsInSteps(value, field))
}

/** @throws OciError MANIFEST_INVALID, its detail naming the field */
export function* descriptorsInSteps(value: unknown, field: string): Steps<Descriptor[]> {
  if (!Array.isArray(value)) {
    throw invalid(field, 'must be an array of descriptors')
  }
  const read: Descriptor[] = []
  for (const item of value) {
    read.push(descriptor(item, `${field}[${read.length}]`))
    if (read.length % descriptorsPerStep === 0) {
      yield
    }
  }
  return read
}

/** @throws OciError MANIFEST_INVALID, its detail naming the field */
export function descriptor(value: unknown, field: string): Descriptor {
  if (!isObject(value)) {
    throw invalid(field, 'must be a descriptor')
  }
  const { mediaType, digest, size } = value
  if (!isString(mediaType)) {
    throw invalid(`${field}.mediaType`, 'must be a string')
  }
  if (!isDigest(digest)) {
    throw invalid(`${field}.digest`, 'must be a sha256 or sha512 digest')
  }
  if (!Number.isSafeInteger(size) || Number(size) < 0) {
    throw invalid(`${field}.size`, 'must be a number of bytes')
  }
  return { ...value, mediaType, digest, size: Number(size) }
}

/** Whether an object has the fields of a descriptor, whatever else it has */
export function isDescriptor(value: object): value is Descriptor {
  const { mediaType, digest, size } = value as Record<string, unknown>
  return isString(mediaType) && isDigest(digest) && Number.isSafeInteger(size) && Number(size) >= 0
}
