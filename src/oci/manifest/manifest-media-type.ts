/**
 * Decides what a pushed manifest is. Its own `mediaType` counts first, then the Content-Type of the request, then its
 * fields. Where two of them disagree the manifest is refused: otherwise one client would read an image where another
 * reads an index (CVE-2021-41190).
 */
import { invalid, isString, notEmpty, optional } from './manifest-fields.ts'
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  DOCKER_MANIFEST_V1,
  DOCKER_MANIFEST_V1_SIGNED,
  OCI_ARTIFACT,
  OCI_INDEX,
  OCI_MANIFEST,
  isMediaType,
  saysNothing,
} from './media-types.ts'

export type ManifestKind = 'image' | 'index' | 'artifact'

const kinds: Readonly<Record<string, ManifestKind>> = {
  [OCI_MANIFEST]: 'image',
  [DOCKER_MANIFEST]: 'image',
  [OCI_INDEX]: 'index',
  [DOCKER_MANIFEST_LIST]: 'index',
  [OCI_ARTIFACT]: 'artifact',
}

/** @returns undefined where a media type is not that of a manifest */
export function kindOfMediaType(mediaType: string): ManifestKind | undefined {
  return kinds[mediaType.toLowerCase()]
}

/**
 * @param contentType of the request, without parameters
 * @throws OciError MANIFEST_INVALID where the media type is unknown, contradicted or that of docker's schema 1
 */
export function mediaTypeOf(json: Record<string, unknown>, contentType: string | undefined): string {
  const own = notEmpty(optional(json, 'mediaType', isString, 'a string'))
  if (own !== undefined && !isMediaType(own)) {
    throw invalid('mediaType', 'is not a media type')
  }
  const requested = contentType === undefined || saysNothing(contentType) ? undefined : contentType
  refuseSchema1(json, own, requested)
  if (own === undefined) {
    return mediaTypeWithoutOwn(json, requested)
  }
  if (requested !== undefined && own.toLowerCase() !== requested) {
    throw invalid('mediaType', `is ${own}, but the Content-Type is ${requested}`)
  }
  return own
}

/** The media type of a manifest that does not name its own */
function mediaTypeWithoutOwn(json: Record<string, unknown>, requested: string | undefined): string {
  const kind = kindOfFields(json)
  if (requested !== undefined && kind !== undefined && kinds[requested] !== kind) {
    throw invalid(
      'mediaType',
      `is missing, and the fields are those of an ${kind}, unlike the Content-Type ${requested}`,
    )
  }
  const mediaType = requested ?? (kind === 'index' ? OCI_INDEX : kind === 'image' ? OCI_MANIFEST : undefined)
  if (mediaType === undefined) {
    throw invalid('mediaType', 'is missing, and neither the fields nor the Content-Type say what this is')
  }
  return mediaType
}

/**
 * The digest of a schema 1 manifest covers its payload without the signatures, so its bytes cannot be served by that
 * digest
 */
function refuseSchema1(json: Record<string, unknown>, own: string | undefined, requested: string | undefined): void {
  if (
    [DOCKER_MANIFEST_V1, DOCKER_MANIFEST_V1_SIGNED].includes((own ?? requested ?? '').toLowerCase()) ||
    (own === undefined && json.fsLayers !== undefined)
  ) {
    throw invalid('mediaType', 'docker schema 1 is not supported; push the image again with a current client')
  }
}

/** Only images and indexes can be told by their fields: an artifact has to name its media type */
function kindOfFields(json: Record<string, unknown>): Exclude<ManifestKind, 'artifact'> | undefined {
  if (Array.isArray(json.manifests)) {
    return 'index'
  }
  return json.config !== undefined && Array.isArray(json.layers) ? 'image' : undefined
}
