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

/** A layer that clients fetch from its `urls` and that a registry may never hold */
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

/** Whether a descriptor of this type is that of a manifest or index, and not of a blob */
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

/** Whether a `Content-Type` is one that clients send for whatever they send, as curl does */
export function saysNothing(mediaType: string): boolean {
  return general.has(mediaType)
}

const pattern = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/i

/** Whether a text is a media type without parameters (RFC 6838): it can be sent in a header then */
export function isMediaType(text: string): boolean {
  return pattern.test(text)
}

/** The type of a `Content-Type` header without its parameters, lower-cased; undefined where there is none that is well formed (RFC 6838) */
export function parseMediaType(header: string | undefined): string | undefined {
  const type = header?.split(';', 1)[0]?.trim().toLowerCase()
  return type !== undefined && isMediaType(type) ? type : undefined
}

/**
 * Whether a manifest may be sent with this media type. Only what says that it is JSON is: a browser shows that as text, and takes everything
 * else that it knows (`text/html`, `image/svg+xml`, `application/pdf`, `multipart/related`, ...) for a document, a script or an image.
 */
export function isSafeManifestType(mediaType: string): boolean {
  return isMediaType(mediaType) && (isManifestType(mediaType) || /^application\/(.+\+)?json$/i.test(mediaType))
}
