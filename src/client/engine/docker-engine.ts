/**
 * Images of the Docker Engine: docker-engine.ts is its API, engine-source.ts makes an image of it a source that has the
 * CID which `docker push` would give it. An image goes into the engine as an archive (files/archive-target.ts). Imports
 * files/ and registry/.
 */
import type Dockerode from 'dockerode'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { raceSignal } from 'race-signal'
import { ClientError } from '../../remote/errors.ts'
import { engineAnswerTimeout, engineIdleTimeout } from '../timeouts.ts'
import { archiveFiles } from '../files/unpack-archive.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import type { ImageSource } from '../images/image-source.ts'
import { openFilesSource } from '../files/files-source.ts'

/** The Docker Engine of this machine, or that of DOCKER_HOST */
export class DockerEngine {
  readonly #docker: Dockerode

  private constructor(docker: Dockerode) {
    this.#docker = docker
  }

  /** Imports the library only when it is needed: it is large */
  static async open(): Promise<DockerEngine> {
    const { default: Docker } = await import('dockerode')
    return new DockerEngine(new Docker({ timeout: engineIdleTimeout }))
  }

  /**
   * The platform of the engine
   *
   * @throws ClientError if no engine answers
   */
  async platform(options: AbortOptions = {}): Promise<{ os: string; architecture: string }> {
    const { Arch, Os } = await explain(inTime(this.#docker.version(), options))
    return { os: Os, architecture: Arch }
  }

  /**
   * Whether the image has a name in the engine. The engine deletes an image with its last name, so one without a name
   * must not get ours.
   */
  async hasName(image: string, options: AbortOptions = {}): Promise<boolean> {
    const { RepoTags: names } = await explain(inTime(this.#docker.getImage(image).inspect(), options), `image ${image}`)
    return names.length > 0
  }

  /**
   * Has the engine push an image, with the layers compressed as `docker push` compresses them
   *
   * @param image name or id of an image that has a name
   * @throws ClientError with the message of the engine if it can't
   */
  async push(
    image: string,
    { repository, tag }: { repository: string; tag: string },
    options: AbortOptions = {},
  ): Promise<void> {
    await explain(inTime(this.#docker.getImage(image).tag({ repo: repository, tag }), options), `image ${image}`)
    const pushed = this.#docker.getImage(`${repository}:${tag}`)
    try {
      const answer = (await explain(inTime(pushed.push({ authconfig: {} }), options, engineIdleTimeout))) as Readable
      await raceSignal(requirePushed(answer), options.signal)
    } finally {
      await explain(inTime(pushed.remove(), {}))
    }
  }

  /**
   * Opens an image of the engine as `docker save` writes it
   *
   * @param image name or id
   * @throws ClientError if the engine does not have it
   */
  async openSource(image: string, options: AbortOptions = {}): Promise<ImageSource> {
    const { Id: id } = await explain(inTime(this.#docker.getImage(image).inspect(), options), `image ${image}`)
    // by its id: a name without a tag would save all images of that name
    const stream = (await explain(
      inTime(this.#docker.getImage(id).get(), options, engineIdleTimeout),
      `image ${image}`,
    )) as Readable
    return await openFilesSource(await archiveFiles(`image ${image}`, stream, options), undefined, options)
  }

  /**
   * Loads an archive into the engine, as `docker load` does
   *
   * @throws ClientError with the message of the engine if it refuses the archive
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
      await Promise.race([requireLoaded(answer), failed])
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }
}

async function inTime<T>(work: Promise<T>, { signal }: AbortOptions, ms = engineAnswerTimeout): Promise<T> {
  const limit = AbortSignal.timeout(ms)
  try {
    return await raceSignal(work, AbortSignal.any([limit, ...(signal === undefined ? [] : [signal])]))
  } catch (err) {
    signal?.throwIfAborted()
    throw limit.aborted ? new ClientError('the Docker Engine does not answer', { cause: err }) : err
  }
}

/** The engine answers 200 before it has done anything: a failure comes later, as a line of the body */
async function requirePushed(answer: Readable): Promise<void> {
  for await (const line of createInterface({ input: answer })) {
    const { error } = parseLine(line)
    if (error !== undefined) {
      throw new ClientError(`the Docker Engine did not push the image: ${error}`)
    }
  }
}

/** As {@link requirePushed} */
async function requireLoaded(answer: Readable): Promise<void> {
  let loaded = false
  for await (const line of createInterface({ input: answer })) {
    const { error, stream } = parseLine(line)
    if (error !== undefined) {
      throw new ClientError(`the Docker Engine did not load the image: ${error}`)
    }
    loaded ||= stream?.startsWith('Loaded image') === true
  }
  if (!loaded) {
    throw new ClientError('the Docker Engine did not confirm that it loaded the image')
  }
}

function parseLine(line: string): { error?: string; stream?: string } {
  try {
    return JSON.parse(line) as { error?: string; stream?: string }
  } catch {
    return {}
  }
}

/** @param what that the engine does not have if it answers 404 */
async function explain<T>(work: Promise<T>, what = ''): Promise<T> {
  try {
    return await work
  } catch (err) {
    const { code, message, statusCode } = err as NodeJS.ErrnoException & { statusCode?: number }
    if (statusCode === 404) {
      throw new ClientError(`the Docker Engine has no ${what}`, {
        cause: err,
        hint: 'To push an image from elsewhere, use --from with a directory, an archive or an image of a registry.',
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
