import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_ARTIFACT, OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.ts'
import type { Answer } from '../http/answer.ts'
import { urlFrom } from '../http/plain-http.ts'

/** `Accept` of a request for a manifest */
export const acceptedManifests = [
  OCI_MANIFEST,
  OCI_INDEX,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_ARTIFACT,
  '*/*;q=0.1',
].join(', ')

/**
 * The next page of a list
 *
 * @throws InvalidAnswerError where it is no URL
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
 */
export function nextPage(answer: Answer): URL | undefined {
  const next = /<([^>]*)>\s*;\s*rel="?next"?/.exec(answer.headers.get('Link') ?? '')?.[1]
  return next === undefined ? undefined : urlFrom(next, new URL(answer.url))
}
