import type { Descriptor } from './descriptor.ts'

/** As written in `linux/arm64/v8` */
export interface Platform {
  os: string
  architecture: string
  variant?: string | undefined
}

/** @returns undefined where the text is not a platform */
export function readPlatform(text: string): Platform | undefined {
  const [, os, architecture, variant] = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9._]+))?$/.exec(text) ?? []
  return os === undefined || architecture === undefined ? undefined : { os, architecture, variant }
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

/** @param wanted without a variant stands for all of them */
export function matchesPlatform(platform: Platform | undefined, wanted: Platform): boolean {
  return (
    platform?.os === wanted.os &&
    platform.architecture === wanted.architecture &&
    (wanted.variant === undefined || platform.variant === wanted.variant)
  )
}
