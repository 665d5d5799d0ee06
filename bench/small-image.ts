import { createHash, randomBytes } from 'node:crypto'

export const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const layerBytes = 4096

interface Descriptor {
  mediaType: string
  digest: string
  size: number
}

/** What is asked for by digest */
export interface SmallImage {
  manifest: string
  layer: string
}

/** Pushes an image of a few kilobytes */
export async function pushSmallImage(base: string, repository: string, tag: string): Promise<SmallImage> {
  const config = await pushBlob(
    base,
    repository,
    'application/vnd.oci.image.config.v1+json',
    Buffer.from(
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        rootfs: { type: 'layers', diff_ids: [] },
      }),
    ),
  )
  const layer = await pushBlob(base, repository, 'application/vnd.oci.image.layer.v1.tar', randomBytes(layerBytes))
  const manifest = await pushManifest(base, repository, tag, { config, layers: [layer] })
  return { manifest, layer: layer.digest }
}

/** @returns the digest of the manifest */
export async function pushManifest(
  base: string,
  repository: string,
  tag: string,
  parts: { config: Descriptor; layers: Descriptor[] },
): Promise<string> {
  const body = JSON.stringify({ schemaVersion: 2, mediaType: manifestType, ...parts })
  await call(`${base}/v2/${repository}/manifests/${tag}`, 'PUT', 201, body, manifestType)
  return digestOf(body)
}

async function pushBlob(base: string, repository: string, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const digest = digestOf(bytes)
  const opened = await call(`${base}/v2/${repository}/blobs/uploads/`, 'POST', 202)
  const patched = await call(location(base, opened), 'PATCH', 202, bytes)
  const target = new URL(location(base, patched))
  target.searchParams.set('digest', digest)
  await call(target.href, 'PUT', 201)
  return { mediaType, digest, size: bytes.byteLength }
}

function location(base: string, response: Response): string {
  return new URL(response.headers.get('Location')!, base).href
}

async function call(
  url: string,
  method: string,
  status: number,
  body?: string | Uint8Array,
  type = 'application/octet-stream',
): Promise<Response> {
  const response = await fetch(url, {
    method,
    headers: { 'Content-Type': type },
    ...(body === undefined ? {} : { body: Buffer.from(body) }),
  })
  const text = await response.text()
  if (response.status !== status) {
    throw new Error(`${method} ${url}: ${response.status} instead of ${status}: ${text}`)
  }
  return response
}

function digestOf(bytes: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
