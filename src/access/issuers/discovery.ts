import { fetchJson } from './fetch-json.ts'
import { isHttpUrl } from './issuer.ts'

/** What an issuer tells of itself */
export interface Discovery {
  issuer: string
  [name: string]: unknown
}

/**
 * @throws Error where it is for another issuer, or as of {@link fetchJson}
 * @see https://openid.net/specs/openid-connect-discovery-1_0.html
 */
export async function discover(issuer: string, { signal }: { signal: AbortSignal }): Promise<Discovery> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const found = (await fetchJson(url, { signal })) as Partial<Discovery> | null
  if (found?.issuer !== issuer) {
    throw new Error('its discovery document is for another issuer')
  }
  return { ...found, issuer }
}

/**
 * A URL that the document names, by TLS where the issuer is
 *
 * @throws Error where there is none
 */
export function endpointOf(discovery: Discovery, name: string): string {
  const url = String(discovery[name])
  if (!isHttpUrl(url) || (discovery.issuer.startsWith('https:') && !url.startsWith('https:'))) {
    throw new Error(`its discovery document has no usable ${name}`)
  }
  return url
}
