import type { KeyObject } from 'node:crypto'

/** What an envelope says of itself; nothing of it is verified */
export interface Envelope {
  algorithm: unknown
  contentType: unknown
  /** Names of the headers that a reader must know */
  critical: readonly unknown[]
  /** Names of all signed headers */
  headers: readonly unknown[]
  scheme: unknown
  /** Milliseconds since 1970; undefined where there is none; NaN where it is no time */
  signed: number | undefined
  expires: number | undefined
  /** DER; the one that signs comes first */
  chain: readonly Uint8Array[]
  payload: Uint8Array
  /** On another thread; never fails */
  isSignedBy: (key: KeyObject, algorithm: string) => Promise<boolean>
}

export const header = {
  expiry: 'io.cncf.notary.expiry',
  scheme: 'io.cncf.notary.signingScheme',
  signingTime: 'io.cncf.notary.signingTime',
} as const
