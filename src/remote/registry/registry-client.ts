/**
 * A registry elsewhere: this file is the distribution API, registry-auth.ts and docker-credentials.ts are its log-ins.
 * Imports the requests of http/.
 */
import type { Digest } from '../../oci/digest.ts'
import { isDigest } from '../../oci/digest.ts'
import { parseMediaType } from '../../oci/manifest/media-types.ts'
import type { AbortOptions } from '../abort-options.ts'
import { ClientError } from '../errors.ts'
import { jsonOf, requireStatus, type Answer } from '../http/answer.ts'
import { hostUrl } from '../http/host-url.ts'
import { isLoopback, isSameServer, requireTls, urlFrom } from '../http/plain-http.ts'
import { send, type SendInit } from '../http/request.ts'
import { commitTimeout, pingTimeout } from '../timeouts.ts'
import type { Credentials } from './docker-credentials.ts'
import {
  acceptedManifests,
  blobPath,
  detailsIn,
  fetchingOf,
  manifestPath,
  nextPage,
  readManifest,
  rootOf,
  scopeOf,
  type RemoteManifest,
  type ImageDetails,
} from './distribution-api.ts'
import { RegistryAuth } from './registry-auth.ts'

/** Longest list of tags or repositories; no image of a public registry has as many tags */
const maxNames = 1_000_000
const maxPages = 10_000

export interface RegistryClientInit {
  /** As in {@link hostUrl} */
  host: string
  /** Whether a registry on another machine may be reached without TLS. @default false */
  plainHttp?: boolean
  /** Whether a mirror tells only of what it has, and asks no other registry. @default false */
  onlyCached?: boolean
  /** The state of an IPDR appliance, or the time (RFC 3339), as of which is read. @default now */
  at?: number | string | undefined
  /** Called when the registry wants a log-in */
  credentials?: ((host: string) => Promise<Credentials | undefined>) | undefined
}

/** A client of one registry, by the distribution API */
export class RegistryClient {
  readonly host: string
  readonly #url: URL
  readonly #auth: RegistryAuth
  /** Whether the user allows plain HTTP to other machines, for this registry and what it refers to */
  readonly #plainHttp: boolean
  readonly #headers: Record<string, string>
  readonly #at: string | undefined

  private constructor(url: URL, { at, credentials, onlyCached, plainHttp }: RegistryClientInit) {
    this.#headers = onlyCached === true ? { 'Cache-Control': 'only-if-cached' } : {}
    this.#at = at === undefined ? undefined : String(at)
    this.host = url.host
    this.#url = url
    this.#plainHttp = url.protocol === 'http:' && (plainHttp === true || !isLoopback(url.hostname))
    this.#auth = new RegistryAuth(async () => await credentials?.(url.host))
  }

  /** @throws ClientError if the host is not one */
  static async open(init: RegistryClientInit): Promise<RegistryClient> {
    return new RegistryClient(hostUrl(init.host, init.plainHttp === true, 'a registry'), init)
  }

  /** Whether a registry answers there, even if it only answers that it wants a log-in */
  async ping(options: AbortOptions = {}): Promise<boolean> {
    try {
      const answer = await send(new URL('/v2/', this.#url), {
        ...options,
        plainHttp: this.#plainHttp,
        timeout: pingTimeout,
      })
      await answer.text()
      return answer.status === 200 || (answer.status === 401 && answer.headers.has('Docker-Distribution-Api-Version'))
    } catch (err) {
      options.signal?.throwIfAborted()
      if (err instanceof ClientError) {
        return false
      }
      throw err
    }
  }

  /**
   * A manifest, byte for byte as the registry has it
   *
   * @throws ResponseError
   */
  async manifest(repository: string, reference: string, options: AbortOptions = {}): Promise<RemoteManifest> {
    const answer = await this.#repository(repository, 'pull', manifestPath(repository, reference, this.#at), {
      ...options,
      headers: { Accept: acceptedManifests },
    })
    await requireStatus(answer, `manifest ${reference} of ${repository}`, 200)
    const digest = answer.headers.get('Docker-Content-Digest')
    return {
      bytes: await readManifest(answer),
      mediaType: parseMediaType(answer.headers.get('Content-Type') ?? undefined),
      digest: isDigest(digest) ? digest : undefined,
      root: rootOf(answer),
      fetching: fetchingOf(answer),
    }
  }

  /** @throws ResponseError */
  async *blob(repository: string, digest: Digest, options: AbortOptions = {}): AsyncGenerator<Uint8Array> {
    const answer = await this.#repository(repository, 'pull', blobPath(repository, digest, this.#at), options)
    await requireStatus(answer, `blob ${digest} of ${repository}`, 200)
    yield* answer.body()
  }

  async hasBlob(repository: string, digest: Digest, options: AbortOptions = {}): Promise<boolean> {
    return (await this.#headBlob(repository, digest, 'pull,push', options)).status === 200
  }

  /** The CID of a blob; undefined if the registry does not have the blob or is not an IPDR appliance */
  async blobCid(repository: string, digest: Digest, options: AbortOptions = {}): Promise<string | undefined> {
    const answer = await this.#headBlob(repository, digest, 'pull', options)
    return answer.status === 200 ? rootOf(answer) : undefined
  }

  /**
   * Pushes a blob, or mounts it from the repository `from` if the registry has it there
   *
   * @throws ResponseError; the errors of `bytes`
   */
  async pushBlob(
    repository: string,
    { digest, size }: { digest: Digest; size: number },
    bytes: () => AsyncIterable<Uint8Array>,
    options: AbortOptions & { from?: string | undefined } = {},
  ): Promise<void> {
    const mount =
      options.from === undefined ? '' : `?${new URLSearchParams({ mount: digest, from: options.from }).toString()}`
    const scope = scopeOf(repository, 'pull,push')
    const scopes = options.from === undefined ? [scope] : [scope, scopeOf(options.from, 'pull')]
    const start = { signal: options.signal, method: 'POST' }
    const started = await this.#send(new URL(`/v2/${repository}/blobs/uploads/${mount}`, this.#url), scopes, start)
    await requireStatus(started, `upload to ${repository}`, 201, 202)
    await started.text()
    // 201: mounted
    if (started.status === 201) {
      return
    }
    const upload = urlFrom(started.headers.get('Location') ?? '', new URL(started.url))
    upload.searchParams.set('digest', digest)
    const done = await this.#send(upload, [scope], {
      signal: options.signal,
      method: 'PUT',
      headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': String(size) },
      body: size === 0 ? new Uint8Array() : bytes,
      timeout: commitTimeout,
    })
    await requireStatus(done, `blob ${digest} of ${repository}`, 201)
    await done.text()
  }

  /**
   * Pushes a manifest; `root` is the CID of the image root, if the registry is an IPDR appliance
   *
   * @throws ResponseError
   */
  async pushManifest(
    repository: string,
    reference: string,
    bytes: Uint8Array,
    mediaType: string,
    options: AbortOptions = {},
  ): Promise<{ root: string | undefined }> {
    const answer = await this.#repository(repository, 'pull,push', manifestPath(repository, reference), {
      ...options,
      method: 'PUT',
      headers: { 'Content-Type': mediaType },
      body: bytes,
    })
    await requireStatus(answer, `manifest ${reference} of ${repository}`, 201)
    await answer.text()
    return { root: rootOf(answer) }
  }

  /**
   * The tags of a repository, each with what an IPDR appliance tells of images that it has as a whole
   *
   * @throws ResponseError
   */
  async *tags(
    repository: string,
    options: AbortOptions = {},
  ): AsyncGenerator<{ tag: string; details: ImageDetails | undefined }> {
    const path = `/v2/${repository}/tags/list?details=true`
    for await (const { body, names } of this.#pages(path, scopeOf(repository, 'pull'), 'tags', options)) {
      const details = detailsIn(body)
      yield* names.map(tag => ({ tag, details: details.get(tag) }))
    }
  }

  /** @throws ResponseError */
  async *repositories(options: AbortOptions = {}): AsyncGenerator<string> {
    await this.#logIn('registry:catalog:*', options)
    for await (const { names } of this.#pages('/v2/_catalog', 'registry:catalog:*', 'repositories', options)) {
      yield* names
    }
  }

  /** Any other endpoint, such as those of an appliance's administration */
  async request(path: string, init: SendInit = {}): Promise<Answer> {
    return await this.#send(new URL(path, this.#url), ['registry:catalog:*'], init)
  }

  async *#pages(
    path: string,
    scope: string,
    field: string,
    options: AbortOptions,
  ): AsyncGenerator<{ names: string[]; body: Record<string, unknown> }> {
    const seen = new Set<string>()
    let count = 0
    for (let url: URL | undefined = new URL(path, this.#url); url !== undefined && !seen.has(url.href); ) {
      seen.add(url.href)
      const answer = await this.#send(url, [scope], options)
      await requireStatus(answer, `list of ${field}`, 200)
      const body = ((await jsonOf(answer)) ?? {}) as Record<string, unknown>
      const items = body[field]
      const names = (Array.isArray(items) ? items : []).filter(item => typeof item === 'string')
      count += names.length
      if (count > maxNames || seen.size > maxPages) {
        throw new ClientError(`${this.host} lists more than ${maxNames} ${field}, or on more than ${maxPages} pages`)
      }
      yield { names, body }
      const next = nextPage(answer)
      url = next === undefined ? undefined : this.#ownUrl(next)
    }
  }

  /** The URL, if it is of this registry: log-ins and the pages of lists stay there */
  #ownUrl(url: URL): URL | undefined {
    return isSameServer(url, this.#url) ? url : undefined
  }

  /** For a list that a registry gives to anybody, but of which strangers only see a part */
  async #logIn(scope: string, options: AbortOptions): Promise<void> {
    if (await this.#auth.hasCredentials()) {
      const answer = await this.#send(new URL('/v2/', this.#url), [scope], options)
      await answer.text()
    }
  }

  async #headBlob(repository: string, digest: Digest, actions: string, options: AbortOptions): Promise<Answer> {
    const init: SendInit = { ...options, method: 'HEAD' }
    const answer = await this.#repository(repository, actions, blobPath(repository, digest), init)
    await answer.text()
    return answer
  }

  async #repository(repository: string, actions: string, path: string, init: SendInit): Promise<Answer> {
    return await this.#send(new URL(path, this.#url), [scopeOf(repository, actions)], init)
  }

  async #send(url: URL, scopes: readonly string[], init: SendInit): Promise<Answer> {
    requireTls(url, this.#plainHttp, this.#url)
    const request = { ...init, headers: { ...this.#headers, ...init.headers }, plainHttp: this.#plainHttp }
    const answer = await send(url, this.#authorize(url, scopes, request))
    const challenge = answer.headers.get('WWW-Authenticate')
    // a log-in is not for a server that the registry redirected to
    const isOwn = this.#ownUrl(new URL(answer.url)) !== undefined
    if (answer.status !== 401 || challenge === null || !isOwn) {
      return answer
    }
    try {
      if (!(await this.#auth.answer(challenge, scopes, this.#url, { signal: init.signal }))) {
        return answer
      }
    } catch (err) {
      await answer.discard()
      throw err
    }
    await answer.text()
    return await send(url, this.#authorize(url, scopes, request))
  }

  #authorize(url: URL, scopes: readonly string[], init: SendInit): SendInit {
    const authorization = this.#ownUrl(url) === undefined ? undefined : this.#auth.header(scopes)
    return authorization === undefined ? init : { ...init, headers: { ...init.headers, Authorization: authorization } }
  }
}
