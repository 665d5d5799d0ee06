/**
 * The paths of the API, one expression each: names have slashes. What the groups match is checked afterwards, so that a bad name or digest
 * gets its own error.
 */
export const paths = {
  base: /^\/v2\/?$/,
  catalog: /^\/v2\/_catalog$/,
  blob: /^\/v2\/(?<name>.+)\/blobs\/(?<digest>[^/]+)$/,
  uploads: /^\/v2\/(?<name>.+)\/blobs\/uploads\/?$/,
  upload: /^\/v2\/(?<name>.+)\/blobs\/uploads\/(?<id>[^/]+)$/,
  manifest: /^\/v2\/(?<name>.+)\/manifests\/(?<reference>[^/]+)$/,
  tags: /^\/v2\/(?<name>.+)\/tags\/list$/,
  referrers: /^\/v2\/(?<name>.+)\/referrers\/(?<digest>[^/]+)$/,
}

export function blobPath(name: string, digest: string): string {
  return `/v2/${name}/blobs/${digest}`
}

export function uploadPath(name: string, id: string): string {
  return `/v2/${name}/blobs/uploads/${id}`
}

export function manifestPath(name: string, reference: string): string {
  return `/v2/${name}/manifests/${reference}`
}

/** The `Link` header that leads to the next page of a listing */
export function nextPage(path: string, query: Record<string, string | number | undefined>): { Link: string } {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) {
      params.set(key, String(value))
    }
  }
  return { Link: `<${path}?${params.toString()}>; rel="next"` }
}
