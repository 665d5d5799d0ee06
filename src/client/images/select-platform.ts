import type { Descriptor } from '../../oci/descriptor.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { ClientError, listNames } from '../../remote/errors.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import { maxIndexDepth, type ImageSource } from './image-source.ts'
import { verifyBytes } from './verify-digest.ts'

/** As written in `linux/arm64/v8` */
export interface Platform {
  os: string
  architecture: string
  variant?: string | undefined
}

/** @throws ClientError */
export function parsePlatform(text: string): Platform {
  const [, os, architecture, variant] = /^([a-z0-9]+)\/([a-z0-9]+)(?:\/([a-z0-9.]+))?$/.exec(text) ?? []
  if (os === undefined || architecture === undefined) {
    throw new ClientError(`"${text}" is not a platform`, {
      hint: 'A platform is written like linux/amd64 or linux/arm/v7.',
    })
  }
  return { os, architecture, variant }
}

/** The platform that an index gives for one of its manifests, if it gives one */
export function platformOf(descriptor: Descriptor): Platform | undefined {
  const { platform } = descriptor as { platform?: Partial<Platform> }
  const isWhole =
    typeof platform?.os === 'string' && typeof platform.architecture === 'string' && platform.os !== 'unknown'
  return isWhole ? (platform as Platform) : undefined
}

export function formatPlatform({ architecture, os, variant }: Platform): string {
  return [os, architecture, variant].filter(part => part !== undefined).join('/')
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
    children.find(child => matches(platformOf(child), wanted)) ?? (children.length === 1 ? children[0] : undefined)
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

function matches(platform: Platform | undefined, wanted: Platform): boolean {
  return (
    platform?.os === wanted.os &&
    platform.architecture === wanted.architecture &&
    (wanted.variant === undefined || platform.variant === wanted.variant)
  )
}
