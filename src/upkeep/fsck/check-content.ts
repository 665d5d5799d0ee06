import { isDeepStrictEqual } from 'node:util'
import { isRefused } from '../../ipfs/errors.ts'
import type { BadBlock, DagChecker } from '../../ipfs/dag/dag-checker.ts'
import { parseCid } from '../../ipfs/blocks/block-cid.ts'
import type { ContentStore } from '../../ipfs/content-store.ts'
import type { BlobRecord, Index, ManifestRecord } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import { algorithmOf, type Digest } from '../../oci/digest.ts'
import { parseStoredManifest } from '../../oci/manifest/manifest.ts'
import { everything } from '../../oci/pagination.ts'
import type { CachedImages } from '../../registry/image/cached-images.ts'
import { manifestRecord } from '../../registry/manifest-record.ts'
import { readWhole } from '../../registry/read-content.ts'
import { publishedImages } from '../../registry/tags/published-tags.ts'

/** What is wrong with an entry of the index */
export interface Finding {
  /** Missing and damaged blocks to which it leads */
  bad: BadBlock[]
  /** What else is wrong */
  problem?: string | undefined
}

export interface CheckComponents {
  cached: Pick<CachedImages, 'evict'>
  checker: DagChecker
  content: Pick<ContentStore, 'list' | 'find' | 'read'>
  log: Logger
}

/** Characters of a CID in the log */
const maxShown = 100
export const fine: Finding = { bad: [] }

export function isFine({ bad, problem }: Finding): boolean {
  return bad.length === 0 && problem === undefined
}

/** The different blocks among several findings */
export function blocksOf(findings: Iterable<Finding>): BadBlock[] {
  return [...new Map([...findings].flatMap(({ bad }) => bad).map(block => [block.cid, block])).values()]
}

/** Checks the blocks of a file, its size and its digest */
export async function checkFile(
  checker: DagChecker,
  digest: Digest,
  record: Pick<BlobRecord, 'cid' | 'size'>,
  signal: AbortSignal,
): Promise<Finding> {
  const file = await checker.file(record.cid, algorithmOf(digest), { signal })
  if (file.bad.length > 0) {
    return { bad: file.bad }
  }
  if (file.digest !== digest) {
    return { bad: [], problem: `its bytes have the digest ${file.digest}` }
  }
  return file.size === record.size ? fine : { bad: [], problem: `has ${file.size} bytes instead of ${record.size}` }
}

/** Checks the blocks of a manifest and its image root, and whether its record says the same as its bytes */
export async function checkManifest(
  { checker, content }: Pick<CheckComponents, 'checker' | 'content'>,
  digest: Digest,
  record: ManifestRecord,
  signal: AbortSignal,
): Promise<Finding> {
  const own = await checkFile(checker, digest, record, signal)
  const root = await checker.dag(record.root, { signal })
  const bad = blocksOf([own, { bad: root }])
  if (bad.length > 0 || own.problem !== undefined) {
    return { ...own, bad }
  }
  // records of older versions do not say what clients are told
  const { deprecated: _deprecated, root: _root, updated: _updated, ...known } = record
  const manifest = parseStoredManifest(await readWhole(content, record, { signal }), record.mediaType)
  const { deprecated: _told, subject, ...expected } = manifestRecord(manifest, record)
  // a record that was read from the index lacks a subject that is undefined
  return isDeepStrictEqual({ subject, ...known }, { subject, ...expected }) && known.subject === subject
    ? fine
    : { bad: [], problem: 'the index does not say what the manifest says' }
}

/**
 * Checks an image of another node. A part of it may be here only, so missing blocks are fine: they are fetched when a
 * client asks for them. An image that is refused is of no use, and is evicted.
 */
export async function checkCached(
  { cached, checker, log }: Pick<CheckComponents, 'cached' | 'checker' | 'log'>,
  root: string,
  signal: AbortSignal,
): Promise<Finding> {
  try {
    return { bad: (await checker.dag(root, { signal })).filter(({ problem }) => problem === 'damaged') }
  } catch (err) {
    if (!isRefused(err)) {
      throw err
    }
    log.warn('image of another node evicted, as its DAG is refused', {
      cid: root.slice(0, maxShown),
      reason: (err as Error).message,
    })
    await cached.evict(root)
    return fine
  }
}

/**
 * Checks the published directory of tags without the images, which may have been deleted since. Its own files tell
 * which links lead to images, so these are checked first.
 */
export async function checkPublished(
  { checker, content }: Pick<CheckComponents, 'checker' | 'content'>,
  root: string,
  signal: AbortSignal,
): Promise<BadBlock[]> {
  const own = await checker.block(parseCid(root), { signal })
  if (own !== undefined) {
    return [own]
  }
  for await (const { name, cid } of content.list(root, { signal })) {
    const bad = name === 'cids' ? await checker.dag(cid, { signal }) : []
    if (bad.length > 0) {
      return bad
    }
  }
  return await checker.dag(root, { signal, except: await publishedImages(content, root, { signal }) })
}

export async function checkReferrer(
  index: Pick<Index, 'referrers'>,
  repository: string,
  subject: Digest,
  digest: Digest,
): Promise<Finding> {
  for await (const referrer of index.referrers(repository, subject, everything)) {
    if (referrer.digest === digest) {
      return fine
    }
  }
  return { bad: [], problem: 'is not among the referrers of its subject' }
}

/** A DAG that is refused is a problem of its entry alone: the check goes on with the next one */
export async function refusedIsProblem(finding: Promise<Finding>): Promise<Finding> {
  try {
    return await finding
  } catch (err) {
    if (!isRefused(err)) {
      throw err
    }
    return { bad: [], problem: (err as Error).message }
  }
}
