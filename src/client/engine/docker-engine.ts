import type Dockerode from 'dockerode'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { raceSignal } from 'race-signal'
import { ClientError } from '../errors.ts'
import { archiveFiles } from '../files/unpack-archive.ts'
import type { AbortOptions } from '../abort-options.ts'
import type { ImageSource } from '../images/image-source.ts'
import { openFilesSource } from '../files/files-source.ts'

const minute = 60_000
/** An engine is silent while it packs an image or takes one in, but not for ever */
const idleTimeout = 30 * minute
/** A question that an engine answers at once, unless it is stuck */
const answerTimeout = minute

/** The Docker Engine of this machine, or that of DOCKER_HOST */
export class DockerEngine {
  readonly #docker: Dockerode

  private constructor(docker: Dockerode) {
    this.#docker = docker
  }

  /** Loaded when needed: the library is large */
  static async open(): Promise<DockerEngine> {
    const { default: Docker } = await import('dockerode')
    return new DockerEngine(new Docker({ timeout: idleTimeout }))
  }

  /** @throws ClientError where no engine answers */
  async platform(options: AbortOptions = {}): Promise<{ os: string; architecture: string }> {
    const { Arch, Os } = await explain(inTime(this.#docker.version(), options))
    return { os: Os, architecture: Arch }
  }

  /** Whether the image has a name in the engine: without one, taking away another name would take the image */
  async hasName(image: string, options: AbortOptions = {}): Promise<boolean> {
    const { RepoTags: names } = await explain(inTime(this.#docker.getImage(image).inspect(), options), `image ${image}`)
    return names.length > 0
  }

  /**
   * Has the engine push an image, compressed as it always compresses it
   *
   * @param image its name or id; it has to have a name
   * @throws ClientError with what the engine says where it can't
   */
  async push(
    image: string,
    { repository, tag }: { repository: string; tag: string },
    options: AbortOptions = {},
  ): Promise<void> {
    await explain(inTime(this.#docker.getImage(image).tag({ repo: repository, tag }), options), `image ${image}`)
    const pushed = this.#docker.getImage(`${repository}:${tag}`)
    try {
      const answer = (await explain(inTime(pushed.push({ authconfig: {} }), options, idleTimeout))) as Readable
      await raceSignal(readFailure(answer), options.signal)
    } finally {
      await explain(inTime(pushed.remove(), {}))
    }
  }

  /**
   * Takes an image out of the engine
   *
   * @param image its name or id
   * @throws ClientError where the engine has not got it
   */
  async openSource(image: string, options: AbortOptions = {}): Promise<ImageSource> {
    const { Id: id } = await explain(inTime(this.#docker.getImage(image).inspect(), options), `image ${image}`)
    // by its id: by a name without a tag all images of that name would come
    const stream = (await explain(
      inTime(this.#docker.getImage(id).get(), options, idleTimeout),
      `image ${image}`,
    )) as Readable
    return await openFilesSource(await archiveFiles(`image ${image}`, stream, options), undefined, options)
  }

  /**
   * Brings an archive into the engine, as `docker load` does
   *
   * @throws ClientError with what the engine says where it does not take it
   */
  async load(archive: Readable, { signal }: AbortOptions = {}): Promise<void> {
    const abort = (): void => {
      archive.destroy(signal?.reason as Error)
    }
    signal?.addEventListener('abort', abort, { once: true })
    const failed = new Promise<never>((_, reject) => archive.once('error', reject))
    try {
      const answer = (await Promise.race([
        explain(this.#docker.loadImage(archive, { quiet: true }), 'image'),
        failed,
      ])) as Readable
      // the engine answers before it has read all, so that its failures come in the body of what looks like success
      await Promise.race([readAnswer(answer), failed])
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }
}

async function inTime<T>(work: Promise<T>, { signal }: AbortOptions, ms = answerTimeout): Promise<T> {
  const limit = AbortSignal.timeout(ms)
  try {
    return await raceSignal(work, AbortSignal.any([limit, ...(signal === undefined ? [] : [signal])]))
  } catch (err) {
    signal?.throwIfAborted()
    throw limit.aborted ? new ClientError('the Docker Engine does not answer', { cause: err }) : err
  }
}

/** @throws ClientError with the failure that comes in the body of what looks like success */
async function readFailure(answer: Readable): Promise<void> {
  for await (const line of createInterface({ input: answer })) {
    const { error } = parseLine(line)
    if (error !== undefined) {
      throw new ClientError(`the Docker Engine did not push the image: ${error}`)
    }
  }
}

async function readAnswer(answer: Readable): Promise<void> {
  let loaded = false
  for await (const line of createInterface({ input: answer })) {
    const { error, stream } = parseLine(line)
    if (error !== undefined) {
      throw new ClientError(`the Docker Engine did not take the image: ${error}`)
    }
    loaded ||= stream?.startsWith('Loaded image') === true
  }
  if (!loaded) {
    throw new ClientError('the Docker Engine did not say that it took the image')
  }
}

function parseLine(line: string): { error?: string; stream?: string } {
  try {
    return JSON.parse(line) as { error?: string; stream?: string }
  } catch {
    return {}
  }
}

async function explain<T>(work: Promise<T>, what = ''): Promise<T> {
  try {
    return await work
  } catch (err) {
    const { code, message, statusCode } = err as NodeJS.ErrnoException & { statusCode?: number }
    if (statusCode === 404) {
      throw new ClientError(`the Docker Engine has no ${what}`, {
        cause: err,
        hint: 'To push from elsewhere, use --from with a directory, an archive or an image of a registry.',
      })
    }
    if (statusCode !== undefined) {
      throw new ClientError(
        `the Docker Engine answered ${statusCode}: ${message.replace(/^\(HTTP code \d+\) /, '').trim()}`,
        { cause: err },
      )
    }
    if (code !== undefined) {
      throw new ClientError(`no Docker Engine answers: ${message}`, {
        cause: err,
        hint: 'Start it, or set DOCKER_HOST; ipdr push --from and ipdr pull --output work without one.',
      })
    }
    throw err
  }
}
