import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import { ArchiveTarget } from '../files/archive-target.ts'
import { copyImage, type CopyOptions } from '../images/copy-image.ts'
import { DockerEngine } from '../engine/docker-engine.ts'
import type { ImageSource } from '../images/image-source.ts'
import { LayoutTarget } from '../files/layout-target.ts'
import { partialPath } from '../files/atomic-file.ts'
import { openImage, type OpenImage, type OpenImageInit } from './open-image.ts'
import type { Platform } from '../../oci/manifest/platform.ts'
import { selectPlatform } from '../images/select-platform.ts'

export interface PullInit extends OpenImageInit {
  /** A directory for an OCI image layout, or a file `.tar` for an archive of one. @default the Docker Engine */
  output?: string | undefined
  /** @default the platform of the Docker Engine if the image goes there, else all platforms */
  platform?: Platform | undefined
}

export interface Pulled {
  /** Its name in the Docker Engine, or `output` */
  name: string
  /** Manifests that an index names and the source does not have */
  missing: Descriptor[]
}

/**
 * Pulls an image into the Docker Engine or into files
 *
 * @throws ClientError, OciError
 */
export async function pull(init: PullInit, options: CopyOptions = {}): Promise<Pulled> {
  const engine = init.output === undefined ? await DockerEngine.open() : undefined
  const platform = init.platform ?? (await engine?.platform(options))
  const image = await openImage(init, options)
  await using whole = image.source
  const source = platform === undefined ? whole : await selectPlatform(whole, platform, options)
  if (engine !== undefined) {
    return await loadImage(engine, source, image, options)
  }
  const missing = await writeImage(source, init.output!, image.tag, options)
  return { name: init.output!, missing }
}

async function loadImage(
  engine: DockerEngine,
  source: ImageSource,
  { repository, tag }: OpenImage,
  options: CopyOptions,
): Promise<Pulled> {
  const archive = new PassThrough()
  const loaded = engine.load(archive, options)
  const copied = copyImage(source, new ArchiveTarget(archive, { repository, tag }), options)
  // when one side fails, the archive is cut off: the engine refuses it then, and the copy does not wait for a reader
  // that is gone
  copied.catch((err: unknown) => {
    archive.destroy(err as Error)
  })
  loaded.catch((err: unknown) => {
    archive.destroy(err as Error)
  })
  const [copy, load] = await Promise.allSettled([copied, loaded])
  const failure = [copy, load].find(result => result.status === 'rejected')
  if (copy.status === 'rejected' || failure !== undefined) {
    options.signal?.throwIfAborted()
    throw failure!.reason
  }
  return { name: tag === 'latest' ? repository : `${repository}:${tag}`, missing: copy.value.missing }
}

async function writeImage(
  source: ImageSource,
  output: string,
  tag: string,
  options: CopyOptions,
): Promise<Descriptor[]> {
  if (!output.endsWith('.tar')) {
    return (await copyImage(source, await LayoutTarget.open(output, tag), options)).missing
  }
  const partial = partialPath(output)
  const file = createWriteStream(partial, { flags: 'wx' })
  try {
    const { missing } = await copyImage(source, new ArchiveTarget(file, { tag }), options)
    await rename(partial, output)
    return missing
  } catch (err) {
    file.destroy()
    await rm(partial, { force: true })
    throw err
  }
}
