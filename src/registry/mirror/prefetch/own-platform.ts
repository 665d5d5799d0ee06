import type { Platform } from '../../../oci/manifest/platform.ts'

/** Go's names of architectures, where they differ from those of Node.js */
const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' }

/** What containers of this machine are for: those of other systems than Windows run Linux */
export const ownPlatform: Platform = {
  os: process.platform === 'win32' ? 'windows' : 'linux',
  architecture: architectures[process.arch] ?? process.arch,
}
