import type { CertificatePaths } from '../../test/fixtures/certificates.ts'
import type { Options } from '../options.ts'

/** A server that runs as a process of its own, with a data directory of its own */
export interface Target {
  /** `http://127.0.0.1:<port>` of the registry, or of kubo's RPC API */
  base: string
  pid: number
  dataDir: string
  /** Milliseconds from the start of the process until it answered */
  startTime: number
  /** What it printed so far, the end of it */
  output: () => string
  /** Ends the process; the data directory stays */
  stop: () => Promise<void>
}

export type TargetName = 'ipdr' | 'before' | 'distribution' | 'zot' | 'kubo' | 'limit' | 'null'

/** What is chosen for ours; others have no such choice */
export interface StartInit {
  /** @default 'offline' */
  network?: 'offline' | 'lan'
  /**
   * Whether all tags are published in the background after the start
   *
   * @default true
   */
  publish?: boolean
  /** @default plain HTTP */
  tls?: CertificatePaths
}

export interface Launcher {
  name: TargetName
  /** For the report: version, and what a push waits for */
  about: string
  /** Whether it is no registry, but shows what the machine or the client can do */
  reference: boolean
  start: (dataDir: string, init?: StartInit) => Promise<Target>
}

/** @returns undefined where there is no such program on this machine */
export type Find = (options: Options) => Promise<Launcher | undefined>
