/**
 * The paths of the distribution API. They are regular expressions because repository names have slashes. They match any
 * name and digest; the routes check these afterwards, so that a malformed one gets an error of its own instead of 404.
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

/** The `Link` header with the next page of a list */
export function nextPage(path: string, query: Record<string, string | number | undefined>): { Link: string } {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) {
      params.set(key, String(value))
    }
  }
  return { Link: `<${path}?${params.toString()}>; rel="next"` }
}
