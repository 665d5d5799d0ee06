import type { Digest } from '../../oci/digest.ts'
import { isDigest } from '../../oci/digest.ts'
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_ARTIFACT,
  OCI_INDEX,
  OCI_MANIFEST,
  parseMediaType,
} from '../../oci/media-types.ts'
import { ClientError } from '../errors.ts'
import type { Credentials } from './docker-credentials.ts'
import { jsonOf, responseError, send, type Answer, type SendInit } from '../http/request.ts'
import type { AbortOptions } from '../abort-options.ts'
import { isLoopback, isSameServer, requireTls, urlFrom } from '../http/plain-http.ts'
import { RegistryAuth } from './registry-auth.ts'

const second = 1000
const minute = 60 * second

/** A registry may take its time with the last request for a blob: it may check or move the whole of it then */
const commitTimeout = 10 * minute
/** Until a registry says that it is one */
const pingTimeout = 5 * second
const maxManifestBytes = 4 * 1024 * 1024
/** Of one list; the largest public registries have fewer tags of an image */
const maxNames = 1_000_000
const maxPages = 10_000
const accepted = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_ARTIFACT, '*/*;q=0.1'].join(', ')

export interface RegistryClientInit {
  /** `host`, `host:port`, or with `http://` or `https://` before it; without, `localhost` and loopback addresses are asked without TLS */
  host: string
  /** @default false */
  plainHttp?: boolean
  /** Called where the registry wants to know who asks */
  credentials?: ((host: string) => Promise<Credentials | undefined>) | undefined
}

export interface RemoteManifest {
  bytes: Uint8Array
  mediaType: string | undefined
  /** The registry's word */
  digest: Digest | undefined
  /** The image root, where the registry is an IPDR appliance */
  root: string | undefined
}

/** A client of the distribution API of one registry */
export class RegistryClient {
  readonly host: string
  readonly #url: URL
  readonly #auth: RegistryAuth
  /** Whether somebody asked for it; a registry of this machine needs nobody to */
  readonly #plainHttp: boolean

  private constructor(url: URL, { credentials, plainHttp }: RegistryClientInit) {
    this.host = url.host
    this.#url = url
    this.#plainHttp = url.protocol === 'http:' && (plainHttp === true || !isLoopback(url.hostname))
    this.#auth = new RegistryAuth(async () => await credentials?.(url.host))
  }

  /** @throws ClientError where the host has no valid name */
  static async open(init: RegistryClientInit): Promise<RegistryClient> {
    const [, scheme, rest = ''] = /^(https?:\/\/)?([^/?#@\\]+)\/?$/i.exec(init.host) ?? []
    const url = URL.canParse(`http://${rest}`) ? new URL(`${scheme ?? 'https://'}${rest}`) : undefined
    if (url === undefined) {
      throw new ClientError(`"${init.host}" is not the host of a registry`, {
        hint: 'A host is written like localhost:5000, registry.example or http://registry.example:5000.',
      })
    }
    if (scheme === undefined && (init.plainHttp === true || isLoopback(url.hostname))) {
      return new RegistryClient(new URL(`http://${rest}`), init)
    }
    return new RegistryClient(url, init)
  }

  /** @returns whether a registry answers there, even if only that it wants to know who asks */
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
   * Gets a manifest, in the form in which the registry has it
   *
   * @throws ResponseError
   */
  async manifest(repository: string, reference: string, options: AbortOptions = {}): Promise<RemoteManifest> {
    const answer = await this.#repository(repository, 'pull', `manifests/${reference}`, {
      ...options,
      headers: { Accept: accepted },
    })
    await expectStatus(answer, `manifest ${reference} of ${repository}`, 200)
    const digest = answer.headers.get('Docker-Content-Digest')
    return {
      bytes: await readSmall(answer),
      mediaType: parseMediaType(answer.headers.get('Content-Type') ?? undefined),
      digest: isDigest(digest) ? digest : undefined,
      root: rootOf(answer),
    }
  }

  /** @throws ResponseError */
  async *blob(repository: string, digest: Digest, options: AbortOptions = {}): AsyncGenerator<Uint8Array> {
    const answer = await this.#repository(repository, 'pull', `blobs/${digest}`, options)
    await expectStatus(answer, `blob ${digest} of ${repository}`, 200)
    yield* answer.body()
  }

  async hasBlob(repository: string, digest: Digest, options: AbortOptions = {}): Promise<boolean> {
    const answer = await this.#repository(repository, 'pull,push', `blobs/${digest}`, { ...options, method: 'HEAD' })
    await answer.text()
    return answer.status === 200
  }

  /** @returns undefined where the registry has not the blob, or is no IPDR appliance */
  async blobCid(repository: string, digest: Digest, options: AbortOptions = {}): Promise<string | undefined> {
    const answer = await this.#repository(repository, 'pull', `blobs/${digest}`, { ...options, method: 'HEAD' })
    await answer.text()
    return answer.status === 200 ? rootOf(answer) : undefined
  }

  /**
   * Pushes a blob, unless the registry has it in the repository `from`
   *
   * @throws ResponseError, and what `bytes` throws
   */
  async pushBlob(
    repository: string,
    { digest, size }: { digest: Digest; size: number },
    bytes: () => AsyncIterable<Uint8Array>,
    options: AbortOptions & { from?: string | undefined } = {},
  ): Promise<void> {
    const mount =
      options.from === undefined ? '' : `?${new URLSearchParams({ mount: digest, from: options.from }).toString()}`
    const started = await this.#repository(repository, 'pull,push', `blobs/uploads/${mount}`, {
      signal: options.signal,
      method: 'POST',
    })
    await expectStatus(started, `upload to ${repository}`, 201, 202)
    await started.text()
    if (started.status === 201) {
      return
    }
    const upload = urlFrom(started.headers.get('Location') ?? '', new URL(started.url))
    upload.searchParams.set('digest', digest)
    const done = await this.#send(upload, scopeOf(repository, 'pull,push'), {
      signal: options.signal,
      method: 'PUT',
      headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': String(size) },
      body: size === 0 ? new Uint8Array() : bytes,
      timeout: commitTimeout,
    })
    await expectStatus(done, `blob ${digest} of ${repository}`, 201)
    await done.text()
  }

  /**
   * @returns the image root, where the registry is an IPDR appliance
   * @throws ResponseError
   */
  async pushManifest(
    repository: string,
    reference: string,
    bytes: Uint8Array,
    mediaType: string,
    options: AbortOptions = {},
  ): Promise<{ root: string | undefined }> {
    const answer = await this.#repository(repository, 'pull,push', `manifests/${reference}`, {
      ...options,
      method: 'PUT',
      headers: { 'Content-Type': mediaType },
      body: bytes,
    })
    await expectStatus(answer, `manifest ${reference} of ${repository}`, 201)
    await answer.text()
    return { root: rootOf(answer) }
  }

  /** @throws ResponseError */
  async *tags(repository: string, options: AbortOptions = {}): AsyncGenerator<string> {
    yield* this.#list(`/v2/${repository}/tags/list`, scopeOf(repository, 'pull'), 'tags', options)
  }

  /** @throws ResponseError */
  async *repositories(options: AbortOptions = {}): AsyncGenerator<string> {
    yield* this.#list('/v2/_catalog', 'registry:catalog:*', 'repositories', options)
  }

  /** Any other endpoint, such as those for whoever runs the appliance */
  async request(path: string, init: SendInit = {}): Promise<Answer> {
    return await this.#send(new URL(path, this.#url), 'registry:catalog:*', init)
  }

  async *#list(path: string, scope: string, field: string, options: AbortOptions): AsyncGenerator<string> {
    const seen = new Set<string>()
    let count = 0
    for (let url: URL | undefined = new URL(path, this.#url); url !== undefined && !seen.has(url.href); ) {
      seen.add(url.href)
      const answer = await this.#send(url, scope, options)
      await expectStatus(answer, `list of ${field}`, 200)
      const items = ((await jsonOf(answer)) as Record<string, unknown> | null)?.[field]
      const names = (Array.isArray(items) ? items : []).filter(item => typeof item === 'string')
      count += names.length
      if (count > maxNames || seen.size > maxPages) {
        throw new ClientError(`${this.host} has no end of ${field}`)
      }
      yield* names
      const next = /<([^>]*)>\s*;\s*rel="?next"?/.exec(answer.headers.get('Link') ?? '')?.[1]
      url = next === undefined ? undefined : this.#ownUrl(urlFrom(next, new URL(answer.url)))
    }
  }

  /** What a registry calls its next page stays with this registry, as do log-ins */
  #ownUrl(url: URL): URL | undefined {
    return isSameServer(url, this.#url) ? url : undefined
  }

  async #repository(repository: string, actions: string, path: string, init: SendInit): Promise<Answer> {
    return await this.#send(new URL(`/v2/${repository}/${path}`, this.#url), scopeOf(repository, actions), init)
  }

  async #send(url: URL, scope: string, init: SendInit): Promise<Answer> {
    requireTls(url, this.#plainHttp, this.#url)
    const request = { ...init, plainHttp: this.#plainHttp }
    const answer = await send(url, this.#authorize(url, scope, request))
    const challenge = answer.headers.get('WWW-Authenticate')
    // whoever the registry sends to is told nothing
    const isOwn = this.#ownUrl(new URL(answer.url)) !== undefined
    if (answer.status !== 401 || challenge === null || !isOwn) {
      return answer
    }
    try {
      if (!(await this.#auth.answer(challenge, scope, this.#url, { signal: init.signal }))) {
        return answer
      }
    } catch (err) {
      await answer.discard()
      throw err
    }
    await answer.text()
    return await send(url, this.#authorize(url, scope, request))
  }

  #authorize(url: URL, scope: string, init: SendInit): SendInit {
    const authorization = this.#ownUrl(url) === undefined ? undefined : this.#auth.header(scope)
    return authorization === undefined ? init : { ...init, headers: { ...init.headers, Authorization: authorization } }
  }
}

function scopeOf(repository: string, actions: string): string {
  return `repository:${repository}:${actions}`
}

/** The CID of what was asked for, of a manifest that of its image root */
function rootOf(answer: Answer): string | undefined {
  return answer.headers.get('X-Ipfs-Cid') ?? answer.headers.get('X-Docker-Content-ID') ?? undefined
}

async function expectStatus(answer: Answer, what: string, ...expected: number[]): Promise<void> {
  if (!expected.includes(answer.status)) {
    throw await responseError(answer, what)
  }
}

async function readSmall(answer: Answer): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer.body()) {
    size += chunk.byteLength
    if (size > maxManifestBytes) {
      throw new ClientError(`${new URL(answer.url).host} sends a manifest of more than ${maxManifestBytes} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
