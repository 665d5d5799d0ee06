/**
 * `src/upstream` reaches other registries for the mirror of this one: it implements the interface `Upstream` of
 * `src/registry/mirror` by the distribution API. It may import `remote`, `oci`, `scheduling` and that interface.
 *
 * - `upstreams.ts`: all that the configuration lists; begin there
 * - this file: what the mirror asks for, and the comparison of answers with what was asked for
 * - `upstream-requests.ts`: one request: its turn, its log-in, its repetition; `throttle.ts`: when it has to wait
 * - `blob-place.ts`, `upstream-body.ts`: the parts of a blob, and their bytes
 * - `connections.ts`, `address-class.ts`: where connections may lead
 * - `stored-credentials.ts`, `upstream-errors.ts`: log-ins; what went wrong
 */
import { descriptors, type Descriptor } from '../oci/manifest/descriptor.ts'
import { parseDigest } from '../oci/digest.ts'
import { isTag } from '../oci/reference.ts'
import type { BlobPart, Upstream, UpstreamBody, UpstreamOptions } from '../registry/upstream.ts'
import { jsonOf, type Answer } from '../remote/http/answer.ts'
import { isSameServer } from '../remote/http/plain-http.ts'
import { acceptedManifests, nextPage } from '../remote/registry/distribution-api.ts'
import { textTimeout } from '../remote/timeouts.ts'
import { lengthOf, placeOf, rangeHeader } from './blob-place.ts'
import { heldBody } from './held-body.ts'
import { checkedBody, type LeastRate, type UpstreamBodyComponents } from './upstream-body.ts'
import type { HeldAnswer, UpstreamRequest, UpstreamRequests } from './upstream-requests.ts'
import { requireTold, toldOf, verifiedManifest } from './verified-manifest.ts'

/** Attempts for what is small; a blob is only asked for again where nothing of it has come */
const [manifestTries, blobTries] = [3, 2]
/** Longest list of tags, and on how many pages */
const [maxTags, maxPages] = [100_000, 1000]

export interface RegistryUpstreamComponents extends Omit<UpstreamBodyComponents, 'errors'> {
  requests: UpstreamRequests
}

export interface RegistryUpstreamInit extends Pick<Upstream, 'name' | 'tagTtl' | 'platforms' | 'mirrors' | 'state'> {
  url: URL
  maxManifestBytes: number
  rate: LeastRate
  /** Milliseconds in which somebody has to begin to read a blob. */
  timeout: number
}

interface Page {
  content: unknown
  next: URL | undefined
}

/** A registry that speaks the distribution API */
export class RegistryUpstream implements Upstream {
  readonly name: string
  readonly tagTtl: number
  readonly platforms: readonly string[] | undefined
  readonly mirrors: (repository: string) => boolean
  readonly state: Upstream['state']
  readonly #components: UpstreamBodyComponents
  readonly #requests: UpstreamRequests
  readonly #init: RegistryUpstreamInit

  constructor({ requests, ...components }: RegistryUpstreamComponents, init: RegistryUpstreamInit) {
    this.#components = { ...components, errors: requests.errors }
    this.#requests = requests
    this.#init = init
    this.name = init.name
    this.tagTtl = init.tagTtl
    this.platforms = init.platforms
    this.mirrors = init.mirrors
    this.state = init.state
  }

  readonly headManifest: Upstream['headManifest'] = async (repository, reference, options) => {
    const request = this.#manifestRequest(repository, reference, options)
    const found = await this.#requests.ask({ ...request, method: 'HEAD' }, async ({ headers }) => ({
      ...toldOf(headers),
      size: lengthOf(headers),
    }))
    if (found === undefined) {
      return undefined
    }
    const { digest } = found
    if (digest !== undefined) {
      return { ...found, digest: requireTold(digest, reference, this.#requests.errors) }
    }
    // an old registry that leaves it out
    const whole = await this.manifest(repository, reference, options)
    return whole && { digest: whole.digest, mediaType: whole.mediaType, size: whole.bytes.byteLength }
  }

  readonly manifest: Upstream['manifest'] = async (repository, reference, options) =>
    await this.#requests.ask(this.#manifestRequest(repository, reference, options), async answer => {
      const bytes = await this.#manifestBytes(answer, options)
      return verifiedManifest(bytes, reference, answer.headers, this.#requests.errors)
    })

  readonly blob: Upstream['blob'] = async (repository, digest, { signal, via, ...part }) => {
    const range = rangeHeader(part)
    const held = await this.#requests.open({
      repository,
      path: `blobs/${parseDigest(digest)}`,
      headers: range === undefined ? {} : { Range: range },
      tries: blobTries,
      signal,
      via,
    })
    return held === undefined ? undefined : await this.#body(held, part, signal)
  }

  readonly tags: Upstream['tags'] = async (repository, options) => {
    const tags = new Set<string>()
    const found = await this.#pages(repository, 'tags/list', options, page => {
      const names = (page as { tags?: unknown } | null)?.tags
      // what is no tag can't be asked for
      ;(Array.isArray(names) ? names : []).filter(isTag).forEach(tag => tags.add(tag))
      if (tags.size > maxTags) {
        throw this.#requests.errors.invalid(`lists more than ${maxTags} tags`)
      }
    })
    return found ? [...tags] : undefined
  }

  readonly referrers: Upstream['referrers'] = async (repository, subject, options) => {
    const referrers: Descriptor[] = []
    const found = await this.#pages(repository, `referrers/${parseDigest(subject)}`, options, page => {
      referrers.push(...this.#descriptors((page as { manifests?: unknown } | null)?.manifests))
      if (referrers.length > maxTags) {
        throw this.#requests.errors.invalid(`lists more than ${maxTags} referrers`)
      }
    })
    return found ? referrers : undefined
  }

  #manifestRequest(repository: string, reference: string, { signal, via }: UpstreamOptions): UpstreamRequest {
    return {
      repository,
      path: `manifests/${reference}`,
      headers: { Accept: acceptedManifests },
      tries: manifestTries,
      signal,
      via,
    }
  }

  /** @returns whether there is such a list */
  async #pages(
    repository: string,
    first: string,
    options: UpstreamOptions,
    take: (page: unknown) => void,
  ): Promise<boolean> {
    const { errors } = this.#requests
    const request = { repository, tries: manifestTries, signal: options.signal, via: options.via }
    const seen = new Set<string>()
    let path: string | URL = first
    for (;;) {
      const page: Page | undefined = await this.#requests.ask({ ...request, path }, async answer => ({
        content: await jsonOf(answer),
        next: nextPage(answer),
      }))
      if (page === undefined) {
        return false
      }
      take(page.content)
      const next: URL | undefined = page.next
      if (next === undefined) {
        return true
      }
      if (!isSameServer(next, this.#init.url) || seen.has(next.href) || seen.size >= maxPages) {
        throw errors.invalid('has a list whose pages lead elsewhere or never end')
      }
      seen.add(next.href)
      path = next
    }
  }

  /** @throws UpstreamError if it is too long, or takes too long */
  async #manifestBytes(answer: Answer, { signal }: UpstreamOptions): Promise<Uint8Array> {
    const { maxManifestBytes, rate } = this.#init
    const { errors } = this.#components
    const length = answer.status === 200 ? lengthOf(answer.headers) : undefined
    if (length !== undefined && length > maxManifestBytes) {
      throw errors.invalid(`sends a manifest of ${length} bytes, more than ${maxManifestBytes}`)
    }
    const chunks: Uint8Array[] = []
    const deadline = performance.now() + textTimeout
    let size = 0
    for await (const chunk of checkedBody(answer.body(), this.#components, { length, rate, signal })) {
      size += chunk.byteLength
      if (size > maxManifestBytes) {
        throw errors.invalid(`sends a manifest of more than ${maxManifestBytes} bytes`)
      }
      if (performance.now() > deadline) {
        throw errors.invalid(`took more than ${textTimeout / 1000} s to send a manifest`)
      }
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }

  async #body(held: HeldAnswer, part: BlobPart, signal: AbortSignal | undefined): Promise<UpstreamBody> {
    const { rate, timeout } = this.#init
    try {
      const { length, size, start } = placeOf(held.answer, part, this.#components.errors)
      const bytes = checkedBody(held.answer.body(), this.#components, { length, rate, signal })
      return { start, size, bytes: heldBody(held, bytes, { signal, timeout }) }
    } catch (err) {
      await held[Symbol.asyncDispose]()
      throw err
    }
  }

  #descriptors(value: unknown): Descriptor[] {
    try {
      return descriptors(value, 'manifests')
    } catch (err) {
      throw this.#components.errors.invalid('lists referrers that are no descriptors', { cause: err })
    }
  }
}
