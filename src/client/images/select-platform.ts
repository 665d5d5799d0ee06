import { parseManifest } from '../../oci/manifest/manifest.ts'
import {
  formatPlatform,
  matchesPlatform,
  platformOf,
  readPlatform,
  type Platform,
} from '../../oci/manifest/platform.ts'
import { ClientError, listNames } from '../../remote/errors.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import { maxIndexDepth, type ImageSource } from './image-source.ts'
import { verifyBytes } from './verify-digest.ts'

/** @throws ClientError */
export function parsePlatform(text: string): Platform {
  const platform = readPlatform(text)
  if (platform === undefined) {
    throw new ClientError(`"${text}" is not a platform`, {
      hint: 'A platform is written like linux/amd64 or linux/arm/v7.',
    })
  }
  return platform
}

/**
 * Narrows a source down to one platform. A source whose top manifest is not an index stays as it is, whatever its
 * platform.
 *
 * @throws ClientError if the image has nothing for the platform
 */
export async function selectPlatform(
  source: ImageSource,
  wanted: Platform,
  options: AbortOptions = {},
): Promise<ImageSource> {
  return await select(source, wanted, options, 0)
}

async function select(
  source: ImageSource,
  wanted: Platform,
  options: AbortOptions,
  depth: number,
): Promise<ImageSource> {
  if (depth > maxIndexDepth) {
    throw new ClientError(`the image lies below more than ${maxIndexDepth} indexes`)
  }
  const { bytes, mediaType } = source.top
  const { kind, manifests: children } = parseManifest(bytes, mediaType?.toLowerCase())
  if (kind !== 'index') {
    return source
  }
  const chosen =
    children.find(child => matchesPlatform(platformOf(child), wanted)) ??
    (children.length === 1 ? children[0] : undefined)
  const child = chosen === undefined ? undefined : await source.manifest(chosen, options)
  if (chosen === undefined || child === undefined) {
    const platforms = children
      .map(platformOf)
      .filter(platform => platform !== undefined)
      .map(formatPlatform)
    throw new ClientError(`the image has nothing for ${formatPlatform(wanted)}; it has: ${listNames(platforms)}`)
  }
  verifyBytes(child, chosen.digest)
  const top = { bytes: child, digest: chosen.digest, mediaType: chosen.mediaType }
  return await select(
    {
      ...source,
      top,
      [Symbol.asyncDispose]: async () => {
        await source[Symbol.asyncDispose]()
      },
    },
    wanted,
    options,
    depth + 1,
  )
}
