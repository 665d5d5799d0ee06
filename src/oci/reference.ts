import { isDigest, type Digest } from './digest.ts'
import { OciError } from './errors.ts'

/** Characters. Docker's clients allow no more. */
export const maxNameLength = 255

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const namePattern = new RegExp(`^${component}(?:/${component})*$`)
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

/**
 * How a client asks for a manifest: by tag or by digest
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
 */
export type Reference = { tag: string; digest?: undefined } | { digest: Digest; tag?: undefined }

export function isName(text: unknown): text is string {
  return typeof text === 'string' && text.length <= maxNameLength && namePattern.test(text)
}

/** @throws OciError NAME_INVALID */
export function parseName(text: unknown): string {
  if (!isName(text)) {
    throw new OciError('NAME_INVALID', {
      detail: { name: typeof text === 'string' ? text.slice(0, maxNameLength) : null },
    })
  }
  return text
}

export function isTag(text: unknown): text is string {
  return typeof text === 'string' && tagPattern.test(text)
}

/** @throws OciError TAG_INVALID */
export function parseTag(text: unknown): string {
  if (!isTag(text)) {
    throw new OciError('TAG_INVALID', { detail: { tag: typeof text === 'string' ? text.slice(0, 128) : null } })
  }
  return text
}

/**
 * Reads a tag or a digest. A text with a colon can only be meant as a digest.
 *
 * @throws OciError DIGEST_INVALID or TAG_INVALID
 */
export function parseReference(text: unknown): Reference {
  if (isDigest(text)) {
    return { digest: text }
  }
  if (typeof text === 'string' && text.includes(':')) {
    throw new OciError('DIGEST_INVALID', { detail: { digest: text.slice(0, 200) } })
  }
  return { tag: parseTag(text) }
}
