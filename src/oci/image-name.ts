import { OciError } from './errors.ts'
import { parseName, parseReference, parseTag, type Reference } from './reference.ts'

/** The name of an image on the command line of docker and similar tools: `[host[:port]/]repository[:tag][@digest]` */
export interface ImageName {
  /** `host` or `host:port`; undefined where the name begins with the repository */
  host: string | undefined
  repository: string
  /** The digest if the name has one, else the tag, else `latest` */
  reference: Reference
  /** Whether the name has a tag or a digest */
  explicit: boolean
}

const hostPattern = /^(?:localhost|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

/**
 * Reads the name of an image. As in docker, the part before the first slash is a host if it has a dot or a colon, or is
 * `localhost`.
 *
 * @throws OciError NAME_INVALID, TAG_INVALID or DIGEST_INVALID
 */
export function parseImageName(text: string): ImageName {
  const slash = text.indexOf('/')
  const first = slash === -1 ? '' : text.slice(0, slash)
  const hasHost = /[.:]/.test(first) || first === 'localhost'
  if (hasHost && !hostPattern.test(first)) {
    throw new OciError('NAME_INVALID', { detail: { host: first.slice(0, 255) } })
  }
  const [, repository, tag, digest] =
    /^([^:@]*)(?::([^@]*))?(?:@(.*))?$/s.exec(hasHost ? text.slice(slash + 1) : text) ?? []
  const checkedTag = tag === undefined ? undefined : parseTag(tag)
  return {
    host: hasHost ? first : undefined,
    repository: parseName(repository),
    reference: digest === undefined ? { tag: checkedTag ?? 'latest' } : requireDigest(digest),
    explicit: tag !== undefined || digest !== undefined,
  }
}

function requireDigest(text: string): Reference {
  const reference = parseReference(text)
  if (reference.digest === undefined) {
    throw new OciError('DIGEST_INVALID', { detail: { digest: text.slice(0, 200) } })
  }
  return reference
}

/** `repository:tag` or `repository@digest`, after the host if there is one */
export function formatImageName({ host, repository, reference }: Omit<ImageName, 'explicit'>): string {
  const name = host === undefined ? repository : `${host}/${repository}`
  return reference.digest === undefined ? `${name}:${reference.tag}` : `${name}@${reference.digest}`
}
