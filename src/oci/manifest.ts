import { isDigest, type Digest } from './digest.ts'
import { OciError } from './errors.ts'
import {
  DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST_V1, DOCKER_MANIFEST_V1_SIGNED,
  OCI_ARTIFACT, OCI_INDEX, OCI_MANIFEST, isForeignLayer, isMediaType
} from './media-types.ts'

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

/** What the registry needs to know of a manifest; its bytes are kept as they came */
export interface Manifest {
  mediaType: string
  /** Config, layers and artifact blobs that must be there; foreign layers left out */
  blobs: Descriptor[]
  /** Layers that clients fetch from elsewhere: linked where they happen to be there, never asked for */
  foreign: Descriptor[]
  /** The manifests of an index */
  manifests: Descriptor[]
  subject: Descriptor | undefined
  /** As the referrers API answers it: of the manifest, else the config's media type */
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
}

/** What a manifest may hold at most */
export interface ManifestLimits {
  /** Levels of nesting */
  depth: number
  /** All together: each is looked up, and linked from the image root */
  descriptors: number
}

const defaultLimits: ManifestLimits = { depth: 64, descriptors: 10_000 }

/**
 * Reads a manifest. What it says of a known media type is checked; an unknown media type needs only to be a JSON object.
 *
 * @param bytes as the client sent them
 * @param contentType of the request, without parameters; `application/json` says no more than none
 * @throws OciError MANIFEST_INVALID, its detail naming the field
 */
export function parseManifest (bytes: Uint8Array, contentType: string | undefined, limits: ManifestLimits = defaultLimits): Manifest {
  const json = parseObject(bytes, limits.depth)
  requireFew(json, limits.descriptors)
  const own = notEmpty(optional(json, 'mediaType', isString, 'a string'))
  if (own !== undefined && !isMediaType(own)) {
    throw invalid('mediaType', 'is not a media type')
  }
  const named = contentType === 'application/json' ? undefined : contentType
  if (own !== undefined && named !== undefined && own.toLowerCase() !== named) {
    throw invalid('mediaType', `is ${own}, and the Content-Type is ${named}`)
  }
  const mediaType = own ?? named ?? guessMediaType(json)
  const annotations = optional(json, 'annotations', isStringMap, 'an object of strings')
  const artifactType = optional(json, 'artifactType', isString, 'a string')
  const subject = json.subject === undefined || json.subject === null ? undefined : descriptor(json.subject, 'subject')
  const common = { mediaType, subject, annotations, blobs: [], foreign: [], manifests: [] }

  switch (mediaType.toLowerCase()) {
    case OCI_MANIFEST:
    case DOCKER_MANIFEST: {
      requireSchemaVersion(json)
      refuse(json, 'manifests')
      const config = descriptor(json.config, 'config')
      const layers = descriptors(json.layers, 'layers')
      return {
        ...common,
        blobs: [config, ...layers.filter(layer => !isForeignLayer(layer.mediaType))],
        foreign: layers.filter(layer => isForeignLayer(layer.mediaType)),
        artifactType: notEmpty(artifactType) ?? config.mediaType
      }
    }
    case OCI_INDEX:
    case DOCKER_MANIFEST_LIST:
      requireSchemaVersion(json)
      refuse(json, 'config', 'layers')
      return { ...common, manifests: descriptors(json.manifests, 'manifests'), artifactType: notEmpty(artifactType) }
    case OCI_ARTIFACT:
      return { ...common, blobs: json.blobs === undefined ? [] : descriptors(json.blobs, 'blobs'), artifactType: notEmpty(artifactType) }
    case DOCKER_MANIFEST_V1:
    case DOCKER_MANIFEST_V1_SIGNED:
      // its digest is of the payload without the signatures: it could not be served by the digest of its bytes
      throw invalid('mediaType', 'docker schema 1 is not supported; push the image again with a current client')
    default:
      return { ...common, artifactType: notEmpty(artifactType) }
  }
}

function parseObject (bytes: Uint8Array, maxDepth: number): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (err) {
    throw new OciError('MANIFEST_INVALID', { detail: { reason: 'is not JSON in UTF-8' }, cause: err })
  }
  if (!isObject(value)) {
    throw new OciError('MANIFEST_INVALID', { detail: { reason: 'is not a JSON object' } })
  }
  if (isDeeper(value, maxDepth)) {
    throw new OciError('MANIFEST_INVALID', { detail: { reason: `is nested deeper than ${maxDepth} levels` } })
  }
  return value
}

/** Counts levels without recursion: the input is hostile */
function isDeeper (value: unknown, maxDepth: number): boolean {
  let level: unknown[] = [value]
  let count = 0
  while (level.length > 0 && count <= maxDepth) {
    count++
    level = level.flatMap(item => typeof item === 'object' && item !== null ? Object.values(item).filter(child => typeof child === 'object' && child !== null) : [])
  }
  return count > maxDepth
}

function requireFew (json: Record<string, unknown>, maxDescriptors: number): void {
  const lists = [json.layers, json.manifests, json.blobs].filter(list => Array.isArray(list))
  if (lists.reduce((total, { length }) => total + length, 0) > maxDescriptors) {
    throw new OciError('MANIFEST_INVALID', { detail: { reason: `has more than ${maxDescriptors} descriptors` } })
  }
}

/** OCI manifests need not name their type, and some clients send `application/json` or nothing */
function guessMediaType (json: Record<string, unknown>): string {
  if (Array.isArray(json.manifests)) {
    return OCI_INDEX
  }
  if (json.config !== undefined && Array.isArray(json.layers)) {
    return OCI_MANIFEST
  }
  throw invalid('mediaType', 'is missing, and there is no Content-Type')
}

function requireSchemaVersion (json: Record<string, unknown>): void {
  if (json.schemaVersion !== 2) {
    throw invalid('schemaVersion', 'must be 2')
  }
}

/** What is an image to one client and an index to another is neither (CVE-2021-41190) */
function refuse (json: Record<string, unknown>, ...fields: string[]): void {
  for (const field of fields) {
    if (json[field] !== undefined) {
      throw invalid(field, 'has no place in a manifest of this media type')
    }
  }
}

function descriptors (value: unknown, field: string): Descriptor[] {
  if (!Array.isArray(value)) {
    throw invalid(field, 'must be an array of descriptors')
  }
  return value.map((item, i) => descriptor(item, `${field}[${i}]`))
}

function descriptor (value: unknown, field: string): Descriptor {
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

function optional<T> (json: Record<string, unknown>, field: string, is: (value: unknown) => value is T, what: string): T | undefined {
  const value = json[field]
  if (value === undefined || value === null) {
    return undefined
  }
  if (!is(value)) {
    throw invalid(field, `must be ${what}`)
  }
  return value
}

function invalid (field: string, reason: string): OciError {
  return new OciError('MANIFEST_INVALID', { detail: { field, reason } })
}

function isString (value: unknown): value is string {
  return typeof value === 'string'
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isStringMap (value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every(isString)
}

function notEmpty (text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}
