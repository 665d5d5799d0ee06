import { descriptor, descriptors, isDescriptor, type Descriptor } from './descriptor.ts'
import { OciError } from './errors.ts'
import { exceededLimit } from './json-limits.ts'
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  DOCKER_MANIFEST_V1,
  DOCKER_MANIFEST_V1_SIGNED,
  OCI_ARTIFACT,
  OCI_INDEX,
  OCI_MANIFEST,
  isForeignLayer,
  isManifestType,
  isMediaType,
  saysNothing,
} from './media-types.ts'
import { invalid, isObject, isString, isStringMap, notEmpty, optional } from './manifest-fields.ts'

export type ManifestKind = 'image' | 'index' | 'artifact'

/** What the registry needs to know of a manifest; its bytes are kept as they came */
export interface Manifest {
  mediaType: string
  /** Undefined only of what older versions accepted */
  kind: ManifestKind | undefined
  /** What must be there: config, layers, blobs of an artifact, and what an index lists that is no manifest, as build caches do */
  blobs: Descriptor[]
  /** The manifests of an index; those of some platforms may never come */
  manifests: Descriptor[]
  /** What else it names, in any field: layers that clients fetch from their `urls`, extensions. Kept where it is here, never asked for. */
  others: Descriptor[]
  /** Need not be there */
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
/** A descriptor has a media type, a digest and a size, and is a value itself */
const valuesPerDescriptor = 4
/** Annotations, platforms and whatever else there is */
const otherValues = 10_000
/** Of members: those that the specification has, and the annotations of many images together */
const maxNames = 1000

const kinds: Readonly<Record<string, ManifestKind>> = {
  [OCI_MANIFEST]: 'image',
  [DOCKER_MANIFEST]: 'image',
  [OCI_INDEX]: 'index',
  [DOCKER_MANIFEST_LIST]: 'index',
  [OCI_ARTIFACT]: 'artifact',
}

/**
 * Reads a manifest. What it is comes from its `mediaType`, else from its fields, else from the request.
 *
 * @param bytes as the client sent them
 * @param contentType of the request, without parameters; a general one such as `application/json` says no more than none
 * @throws OciError MANIFEST_INVALID, its detail naming the field
 * @see https://github.com/opencontainers/image-spec/blob/main/manifest.md
 */
export function parseManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
  limits: ManifestLimits = defaultLimits,
): Manifest {
  const steps = parsing(bytes, contentType, limits)
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) {
      return step.value
    }
  }
}

/**
 * As {@link parseManifest}, for a large one of which every step takes milliseconds
 *
 * @param pause awaited between the steps, so that others get their turn
 */
export async function parseManifestInSteps(
  bytes: Uint8Array,
  contentType: string | undefined,
  limits: ManifestLimits = defaultLimits,
  pause: () => Promise<void>,
): Promise<Manifest> {
  const steps = parsing(bytes, contentType, limits)
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) {
      return step.value
    }
    await pause()
  }
}

function* parsing(
  bytes: Uint8Array,
  contentType: string | undefined,
  limits: ManifestLimits,
): Generator<undefined, Manifest, undefined> {
  requireSimple(bytes, limits)
  yield
  const json = parseObject(bytes)
  yield
  requireFew(json, limits.descriptors)
  const mediaType = mediaTypeOf(json, contentType)
  const kind = kinds[mediaType.toLowerCase()]
  if (kind === undefined) {
    throw invalid(
      'mediaType',
      `${mediaType} is none of a manifest or an index: push an image manifest with this as its artifactType`,
    )
  }
  return manifestOf(json, mediaType, kind, limits)
}

/**
 * Reads a manifest that was accepted once. Older versions took any media type: of one that is none of a manifest, all that it names counts.
 *
 * @throws OciError MANIFEST_INVALID
 */
export function parseStoredManifest(
  bytes: Uint8Array,
  mediaType: string,
  limits: ManifestLimits = defaultLimits,
): Manifest {
  requireSimple(bytes, limits)
  const json = parseObject(bytes)
  return manifestOf(json, mediaType, kinds[mediaType.toLowerCase()], limits)
}

function manifestOf(
  json: Record<string, unknown>,
  mediaType: string,
  kind: ManifestKind | undefined,
  limits: ManifestLimits,
): Manifest {
  const required = requiredOf(json, kind)
  const subject = json.subject === undefined || json.subject === null ? undefined : descriptor(json.subject, 'subject')
  const artifactType = notEmpty(optional(json, 'artifactType', isString, 'a string'))
  return {
    mediaType,
    kind,
    ...required,
    others: othersOf(
      json,
      [...required.blobs, ...required.manifests, ...(subject === undefined ? [] : [subject])],
      limits,
    ),
    subject,
    artifactType: kind === 'image' ? (artifactType ?? required.blobs[0]?.mediaType) : artifactType,
    annotations: optional(json, 'annotations', isStringMap, 'an object of strings'),
  }
}

function requiredOf(
  json: Record<string, unknown>,
  kind: ManifestKind | undefined,
): Pick<Manifest, 'blobs' | 'manifests'> {
  switch (kind) {
    case 'image': {
      requireSchemaVersion(json)
      refuse(json, 'manifests')
      const layers = descriptors(json.layers, 'layers')
      return {
        blobs: [descriptor(json.config, 'config'), ...layers.filter(layer => !isElsewhere(layer))],
        manifests: [],
      }
    }
    case 'index': {
      requireSchemaVersion(json)
      refuse(json, 'config', 'layers')
      const listed = descriptors(json.manifests, 'manifests')
      return {
        blobs: listed.filter(({ mediaType }) => !isManifestType(mediaType)),
        manifests: listed.filter(({ mediaType }) => isManifestType(mediaType)),
      }
    }
    case 'artifact':
      refuse(json, 'manifests', 'config', 'layers')
      return { blobs: json.blobs === undefined ? [] : descriptors(json.blobs, 'blobs'), manifests: [] }
    default:
      return { blobs: [], manifests: [] }
  }
}

function isElsewhere({ mediaType, urls }: Descriptor): boolean {
  return isForeignLayer(mediaType) && Array.isArray(urls) && urls.length > 0
}

/** Every other descriptor, wherever it is: what this version knows nothing of may be needed all the same */
function othersOf(
  json: Record<string, unknown>,
  known: readonly Descriptor[],
  { descriptors: max }: ManifestLimits,
): Descriptor[] {
  const seen = new Set<string>(known.map(({ digest }) => digest))
  const others: Descriptor[] = []
  const left: object[] = [json]
  for (let value = left.pop(); value !== undefined; value = left.pop()) {
    if (isDescriptor(value) && !seen.has(value.digest)) {
      seen.add(value.digest)
      others.push({ ...value })
    }
    for (const child of Object.values(value)) {
      if (typeof child === 'object' && child !== null) {
        left.push(child)
      }
    }
  }
  if (seen.size > max) {
    throw tooMany(max)
  }
  return others
}

function requireSimple(bytes: Uint8Array, { depth, descriptors }: ManifestLimits): void {
  const excess = exceededLimit(bytes, {
    depth,
    values: otherValues + descriptors * valuesPerDescriptor,
    names: maxNames,
  })
  if (excess !== undefined) {
    throw new OciError('MANIFEST_INVALID', { detail: { reason: excess } })
  }
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (err) {
    throw new OciError('MANIFEST_INVALID', { detail: { reason: 'is not JSON in UTF-8' }, cause: err })
  }
  if (!isObject(value)) {
    throw new OciError('MANIFEST_INVALID', { detail: { reason: 'is not a JSON object' } })
  }
  return value
}

function requireFew(json: Record<string, unknown>, maxDescriptors: number): void {
  const lists = [json.layers, json.manifests, json.blobs].filter(list => Array.isArray(list))
  if (lists.reduce((total, { length }) => total + length, 0) > maxDescriptors) {
    throw tooMany(maxDescriptors)
  }
}

function tooMany(maxDescriptors: number): OciError {
  return new OciError('MANIFEST_INVALID', { detail: { reason: `has more than ${maxDescriptors} descriptors` } })
}

/** What the manifest is and what the request says must not differ: one client would take it for this, another for that */
function mediaTypeOf(json: Record<string, unknown>, contentType: string | undefined): string {
  const own = notEmpty(optional(json, 'mediaType', isString, 'a string'))
  if (own !== undefined && !isMediaType(own)) {
    throw invalid('mediaType', 'is not a media type')
  }
  const named = contentType === undefined || saysNothing(contentType) ? undefined : contentType
  if (
    [DOCKER_MANIFEST_V1, DOCKER_MANIFEST_V1_SIGNED].includes((own ?? named ?? '').toLowerCase()) ||
    (own === undefined && json.fsLayers !== undefined)
  ) {
    // its digest is of the payload without the signatures: it could not be served by the digest of its bytes
    throw invalid('mediaType', 'docker schema 1 is not supported; push the image again with a current client')
  }
  if (own !== undefined) {
    if (named !== undefined && own.toLowerCase() !== named) {
      throw invalid('mediaType', `is ${own}, and the Content-Type is ${named}`)
    }
    return own
  }
  const kind = kindOf(json)
  if (named !== undefined && kind !== undefined && kinds[named] !== kind) {
    throw invalid(
      'mediaType',
      `is missing, and the fields are those of an ${kind}, which the Content-Type ${named} is none of`,
    )
  }
  const mediaType = named ?? (kind === 'index' ? OCI_INDEX : kind === 'image' ? OCI_MANIFEST : undefined)
  if (mediaType === undefined) {
    throw invalid('mediaType', 'is missing, and neither the fields nor the Content-Type say what this is')
  }
  return mediaType
}

/** Of an image or an index only: an artifact has to name its media type */
function kindOf(json: Record<string, unknown>): Exclude<ManifestKind, 'artifact'> | undefined {
  if (Array.isArray(json.manifests)) {
    return 'index'
  }
  return json.config !== undefined && Array.isArray(json.layers) ? 'image' : undefined
}

function requireSchemaVersion(json: Record<string, unknown>): void {
  if (json.schemaVersion !== 2) {
    throw invalid('schemaVersion', 'must be 2')
  }
}

/** What is an image to one client and an index to another is neither (CVE-2021-41190) */
function refuse(json: Record<string, unknown>, ...fields: string[]): void {
  for (const field of fields) {
    if (json[field] !== undefined) {
      throw invalid(field, 'has no place in a manifest of this media type')
    }
  }
}
