import type { Digest } from '../../../oci/digest.ts'
import type { FoundManifest } from '../../repository.ts'
import type { Trust } from './authority.ts'
import type { PublicKey } from './public-key.ts'

/**
 * What was found out about one signature: by which key it is and for what, or why it is not valid. A signature that
 * says more than that an image is signed, such as an attestation, is verified, and does not count for `onlySigned`.
 */
export type Verdict = (ValidSignature | { reason: string }) & Lasting

interface ValidSignature {
  key: string
  counts: boolean
  repository?: string | undefined
}

/** What may be otherwise later */
export interface Lasting {
  /** The last moment at which it is so, in milliseconds since 1970; undefined: it is so for ever */
  until?: number | undefined
}

/** What a signature is verified for */
export interface Question {
  /** Of the image */
  digest: Digest
  keys: readonly PublicKey[]
  /** Whose signatures of Notation count */
  trust: Trust
}

/** The manifest that a signature is about */
export type Subject = Pick<FoundManifest, 'digest' | 'mediaType' | 'size'>

/** Types of manifests that hold signatures. cosign 2 has no artifact type, and uses a tag instead. */
export const bundleType = 'application/vnd.dev.sigstore.bundle.v0.3+json'
export const cosignReferrerType = 'application/vnd.dev.cosign.artifact.sig.v1+json'
export const notationType = 'application/vnd.cncf.notary.signature'
export const simpleSigningType = 'application/vnd.dev.cosign.simplesigning.v1+json'

/** The tag by which cosign 2 attaches something to an image, such as `sha256-<hex>.sig` */
export function attachedTag(digest: Digest, suffix: 'sig' | 'att' | 'sbom'): string {
  return `${digest.replace(':', '-')}.${suffix}`
}

/** Whether something is attached to an image by this tag, or it lists what is */
export function isAttachedTag(tag: string): boolean {
  return /^sha(256-[a-f0-9]{64}|512-[a-f0-9]{128})(\.(sig|att|sbom))?$/.test(tag)
}

/** @returns undefined where the text is no JSON object */
export function jsonObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    // no UTF-8, no JSON, or nested too deeply
    return undefined
  }
}
