export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const OCI_EMPTY = 'application/vnd.oci.empty.v1+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_MANIFEST_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const DOCKER_MANIFEST_V1 = 'application/vnd.docker.distribution.manifest.v1+json'
export const DOCKER_MANIFEST_V1_SIGNED = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
/** The artifact manifest of OCI 1.1's release candidates, which older tools still push */
export const OCI_ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'

const foreignLayer = /^application\/vnd\.(docker\.image\.rootfs\.foreign\.|oci\.image\.layer\.nondistributable\.)/

/** Whether clients fetch a layer of this type from its `urls`, so that the registry need not have it */
export function isForeignLayer(mediaType: string): boolean {
  return foreignLayer.test(mediaType)
}

const manifestTypes = new Set([
  OCI_MANIFEST,
  OCI_INDEX,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  DOCKER_MANIFEST_V1,
  DOCKER_MANIFEST_V1_SIGNED,
  OCI_ARTIFACT,
])

/** Whether a descriptor with this media type stands for a manifest or index rather than a blob */
export function isManifestType(mediaType: string): boolean {
  return manifestTypes.has(mediaType.toLowerCase())
}

const general = new Set([
  'application/json',
  'application/octet-stream',
  'application/x-www-form-urlencoded',
  'text/json',
  'text/plain',
])

/**
 * Whether a `Content-Type` is a general one that says nothing about the body: curl sends one of these with every upload
 */
export function saysNothing(mediaType: string): boolean {
  return general.has(mediaType)
}

const pattern = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/i

/** Whether a text is a media type without parameters (RFC 6838), and so is safe to send in a header */
export function isMediaType(text: string): boolean {
  return pattern.test(text)
}

/**
 * The media type of a `Content-Type` header in lower case, without parameters; undefined where it is absent or
 * malformed (RFC 6838)
 */
export function parseMediaType(header: string | undefined): string | undefined {
  const type = header?.split(';', 1)[0]?.trim().toLowerCase()
  return type !== undefined && isMediaType(type) ? type : undefined
}

/**
 * Whether a manifest may be sent to a client with this media type. Only JSON types may: a browser shows JSON as text,
 * but would render or run a manifest that is sent as `text/html`, `image/svg+xml`, `application/pdf`,
 * `multipart/related` and the like.
 */
export function isSafeManifestType(mediaType: string): boolean {
  return isMediaType(mediaType) && (isManifestType(mediaType) || /^application\/(.+\+)?json$/i.test(mediaType))
}
