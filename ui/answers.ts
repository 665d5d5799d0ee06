/** What `/ui/api/` answers: the types of src/registry/overview/ and src/upkeep/status/, as JSON */
export type { ImageConfig, Step } from '../src/registry/overview/image-config.ts'
export type { ImageDetails, Layer, Variant } from '../src/registry/overview/image-details.ts'
export type { Limited, Pair } from '../src/registry/overview/limited.ts'
export type { Place } from '../src/registry/overview/locator.ts'
export type { FolderLine, PartOf, RepositoryLine, TagLine } from '../src/registry/overview/overview.ts'
export type { Referrer } from '../src/registry/overview/referrers.ts'
export type { NetworkReport, PeerLine } from '../src/upkeep/status/network-status.ts'

export interface Session {
  /** Undefined where nobody is logged in */
  name?: string
  mayLogOut: boolean
  /** Whether whoever looks may see and do what an administrator may */
  mayAdminister: boolean
  /** Ways to log in; empty where everybody may do everything */
  logIn: { issuer?: string; path: string }[]
}
