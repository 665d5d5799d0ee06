import { type Digest, isDigest } from '../../oci/digest.ts'
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_ARTIFACT,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../../oci/manifest/media-types.ts'
import { ClientError } from '../errors.ts'
import { hostOf, type Answer } from '../http/answer.ts'
import { urlFrom } from '../http/plain-http.ts'

const maxManifestBytes = 4 * 1024 * 1024

/** Bytes of what a mirror fetches now, and how many of them it has */
export interface Fetching {
  here: number
  size: number
}

export interface RemoteManifest {
  bytes: Uint8Array
  mediaType: string | undefined
  /** As the registry says; nobody has checked it */
  digest: Digest | undefined
  /** CID of the image root, if the registry is an IPDR appliance */
  root: string | undefined
  /** If the registry is a mirror that fetches its blobs now */
  fetching: Fetching | undefined
}

/** What a list of tags of an IPDR appliance tells of an image that is there as a whole; nobody has checked it */
export interface ImageDetails {
  digest: Digest
  /** Of the image root */
  cid: string
  /** Bytes of all manifests and blobs, each counted once */
  size: number
}

/** `Accept` of a request for a manifest */
export const acceptedManifests = [
  OCI_MANIFEST,
  OCI_INDEX,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_ARTIFACT,
  '*/*;q=0.1',
].join(', ')

/**
 * The next page of a list
 *
 * @throws InvalidAnswerError where it is no URL
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
 */
export function nextPage(answer: Answer): URL | undefined {
  const next = /<([^>]*)>\s*;\s*rel="?next"?/.exec(answer.headers.get('Link') ?? '')?.[1]
  return next === undefined ? undefined : urlFrom(next, new URL(answer.url))
}

/** The CID that an IPDR appliance gives: for a blob its own, for a manifest that of the image root */
export function rootOf(answer: Answer): string | undefined {
  return answer.headers.get('X-Ipfs-Cid') ?? answer.headers.get('X-Docker-Content-ID') ?? undefined
}

export function fetchingOf(answer: Answer): Fetching | undefined {
  const [, here, size] = /^(\d{1,15})\/(\d{1,15})$/.exec(answer.headers.get('X-Ipdr-Fetching') ?? '') ?? []
  return here === undefined ? undefined : { here: Number(here), size: Number(size) }
}

/** By tag, what a list of tags tells of images; other registries tell nothing */
export function detailsIn({ details }: Record<string, unknown>): Map<string, ImageDetails> {
  return new Map(Object.entries(details ?? {}).filter((entry): entry is [string, ImageDetails] => isDetails(entry[1])))
}

function isDetails(value: unknown): value is ImageDetails {
  const { cid, digest, size } = (value ?? {}) as Partial<Record<keyof ImageDetails, unknown>>
  return isDigest(digest) && typeof cid === 'string' && Number.isSafeInteger(size) && Number(size) >= 0
}

export async function readManifest(answer: Answer): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer.body()) {
    size += chunk.byteLength
    if (size > maxManifestBytes) {
      throw new ClientError(`${hostOf(answer)} sends a manifest of more than ${maxManifestBytes} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** @param at a state or a time; @default now */
export function manifestPath(repository: string, reference: string, at?: string): string {
  return at === undefined
    ? `/v2/${repository}/manifests/${reference}`
    : `/past/manifest?${new URLSearchParams({ name: repository, reference, at }).toString()}`
}

/** @param at a state or a time; @default now */
export function blobPath(repository: string, digest: Digest, at?: string): string {
  return at === undefined
    ? `/v2/${repository}/blobs/${digest}`
    : `/past/blob?${new URLSearchParams({ name: repository, digest, at }).toString()}`
}

/** What a token is asked for */
export function scopeOf(repository: string, actions: string): string {
  return `repository:${repository}:${actions}`
}
