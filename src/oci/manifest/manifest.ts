/**
 * `src/oci` holds the OCI specifications as pure functions: it reads and checks what clients and other nodes send, and
 * does no I/O. It imports no other folder, and every other folder may import it.
 *
 * - `manifest/`: this file (begin here), `descriptor.ts` and `platform.ts`; `manifest-media-type.ts`,
 *   `manifest-limits.ts`, `manifest-fields.ts`, `json-limits.ts` and `steps.ts`: how a manifest is read;
 *   `media-types.ts`, `annotations.ts`: constants of the image specification
 * - `../reference.ts`, `../digest.ts`, `../cid.ts`, `../image-name.ts`: the names that clients use
 * - `../range.ts`, `../pagination.ts`: parts of a request
 * - `../errors.ts`: the one table from error code to HTTP status and message
 */
import { descriptor, descriptorsInSteps, isDescriptor, type Descriptor } from './descriptor.ts'
import { decodeJson, invalid, isString, isStringMap, notEmpty, optional, parseJsonObject } from './manifest-fields.ts'
import {
  defaultManifestLimits,
  requireFewDescriptors,
  requireJsonWithin,
  requireShortLists,
  type ManifestLimits,
} from './manifest-limits.ts'
import { kindOfMediaType, mediaTypeOf, type ManifestKind } from './manifest-media-type.ts'
import { isForeignLayer, isManifestType } from './media-types.ts'
import { drained, type Steps } from './steps.ts'

/** What the registry needs to know of a manifest. Its bytes are stored exactly as they came. */
export interface Manifest {
  mediaType: string
  /** Undefined for a media type that only older versions accepted */
  kind: ManifestKind | undefined
  /**
   * Blobs that must be in the repository: config and layers, the blobs of an artifact, and whatever an index lists
   * under a media type that is not a manifest's, as build caches do
   */
  blobs: Descriptor[]
  /** The manifests of an index. They may be missing: not every platform has to be pushed. */
  manifests: Descriptor[]
  /**
   * Descriptors in any other field, such as extensions, and layers that clients fetch from their `urls`. They are kept
   * with the image where the repository has them, and may be missing.
   */
  others: Descriptor[]
  /** May be missing */
  subject: Descriptor | undefined
  /** What the referrers API answers: the manifest's own artifactType, else the media type of its config */
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
}

/**
 * Reads a manifest that a client pushes
 *
 * @param bytes exactly as the client sent them
 * @param contentType of the request, without parameters; a general one such as `application/json` counts as absent
 * @throws OciError MANIFEST_INVALID, its detail naming the field
 * @see https://github.com/opencontainers/image-spec/blob/main/manifest.md
 */
export function parseManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
  limits: ManifestLimits = defaultManifestLimits,
): Manifest {
  return drained(parsing(bytes, contentType, limits))
}

/**
 * Does the same as {@link parseManifest} for a large manifest, where every step takes milliseconds
 *
 * @param pause awaited between the steps, so that other requests get their turn
 */
export async function parseManifestInSteps(
  bytes: Uint8Array,
  contentType: string | undefined,
  limits: ManifestLimits = defaultManifestLimits,
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

function* parsing(bytes: Uint8Array, contentType: string | undefined, limits: ManifestLimits): Steps<Manifest> {
  yield* requireJsonWithin(bytes, limits)
  yield
  const text = decodeJson(bytes)
  yield
  const json = parseJsonObject(text)
  yield
  requireShortLists(json, limits)
  const mediaType = mediaTypeOf(json, contentType)
  const kind = kindOfMediaType(mediaType)
  if (kind === undefined) {
    throw invalid(
      'mediaType',
      `${mediaType} is not the type of a manifest or an index: push an image manifest with this as its artifactType`,
    )
  }
  return yield* manifestOf(json, mediaType, kind, limits)
}

/**
 * Reads a manifest that the registry accepted before. Older versions accepted any media type; where it is not a
 * manifest's, every descriptor in it ends up among {@link Manifest.others}.
 *
 * @throws OciError MANIFEST_INVALID
 */
export function parseStoredManifest(
  bytes: Uint8Array,
  mediaType: string,
  limits: ManifestLimits = defaultManifestLimits,
): Manifest {
  drained(requireJsonWithin(bytes, limits))
  const json = parseJsonObject(decodeJson(bytes))
  return drained(manifestOf(json, mediaType, kindOfMediaType(mediaType), limits))
}

function* manifestOf(
  json: Record<string, unknown>,
  mediaType: string,
  kind: ManifestKind | undefined,
  limits: ManifestLimits,
): Steps<Manifest> {
  const required = yield* requiredOf(json, kind)
  yield
  const subject = json.subject === undefined || json.subject === null ? undefined : descriptor(json.subject, 'subject')
  const artifactType = notEmpty(optional(json, 'artifactType', isString, 'a string'))
  const known = [...required.blobs, ...required.manifests, ...(subject === undefined ? [] : [subject])]
  const others = yield* othersOf(json, known, limits)
  yield
  return {
    mediaType,
    kind,
    ...required,
    others,
    subject,
    artifactType: kind === 'image' ? (artifactType ?? required.blobs[0]?.mediaType) : artifactType,
    annotations: optional(json, 'annotations', isStringMap, 'an object of strings'),
  }
}

function* requiredOf(
  json: Record<string, unknown>,
  kind: ManifestKind | undefined,
): Steps<Pick<Manifest, 'blobs' | 'manifests'>> {
  switch (kind) {
    case 'image': {
      requireSchemaVersion(json)
      refuse(json, 'manifests')
      const layers = yield* descriptorsInSteps(json.layers, 'layers')
      return {
        blobs: [descriptor(json.config, 'config'), ...layers.filter(layer => !isFetchedElsewhere(layer))],
        manifests: [],
      }
    }
    case 'index': {
      requireSchemaVersion(json)
      refuse(json, 'config', 'layers')
      const listed = yield* descriptorsInSteps(json.manifests, 'manifests')
      return {
        blobs: listed.filter(({ mediaType }) => !isManifestType(mediaType)),
        manifests: listed.filter(({ mediaType }) => isManifestType(mediaType)),
      }
    }
    case 'artifact':
      refuse(json, 'manifests', 'config', 'layers')
      return { blobs: json.blobs === undefined ? [] : yield* descriptorsInSteps(json.blobs, 'blobs'), manifests: [] }
    default:
      return { blobs: [], manifests: [] }
  }
}

function isFetchedElsewhere({ mediaType, urls }: Descriptor): boolean {
  return isForeignLayer(mediaType) && Array.isArray(urls) && urls.length > 0
}

/** Objects and lists that are looked at in a few milliseconds, also by code that V8 has not compiled yet */
const valuesPerStep = 1024

/** Finds descriptors in every field, as a newer client may rely on fields that this version does not know */
function* othersOf(
  json: Record<string, unknown>,
  known: readonly Descriptor[],
  { descriptors: max }: ManifestLimits,
): Steps<Descriptor[]> {
  const seen = new Set<string>(known.map(({ digest }) => digest))
  const others: Descriptor[] = []
  const left: object[] = [json]
  let values = 0
  for (let value = left.pop(); value !== undefined; value = left.pop()) {
    if (++values % valuesPerStep === 0) {
      yield
    }
    // first what is quick: most descriptors are among the known ones, which have been validated
    if (!seen.has((value as Partial<Descriptor>).digest ?? '') && isDescriptor(value)) {
      seen.add(value.digest)
      others.push({ ...value })
    }
    for (const child of Object.values(value)) {
      if (typeof child === 'object' && child !== null) {
        left.push(child)
      }
    }
  }
  requireFewDescriptors(seen.size, max)
  return others
}

function requireSchemaVersion(json: Record<string, unknown>): void {
  if (json.schemaVersion !== 2) {
    throw invalid('schemaVersion', 'must be 2')
  }
}

/** Refuses fields that would make another client read a manifest of another kind (CVE-2021-41190) */
function refuse(json: Record<string, unknown>, ...fields: string[]): void {
  for (const field of fields) {
    if (json[field] !== undefined) {
      throw invalid(field, 'has no place in a manifest of this media type')
    }
  }
}
