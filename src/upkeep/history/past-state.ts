import type { HistoryIndex, KeptManifest, OrderedChange } from '../../index/history-index.ts'
import type { Index, TagRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { referencesOf } from '../../registry/manifest-record.ts'

/** What was otherwise in an earlier state of a repository; of what is in neither, nothing has changed since */
export interface PastState {
  /** Undefined: the tag was not there */
  tags: Map<string, TagRecord | undefined>
  /** Undefined: the manifest was not there */
  manifests: Map<Digest, KeptManifest | undefined>
  /** Blobs that the repository could serve before somebody deleted them */
  blobs: Set<Digest>
}

/** What has to change for a repository to be as it was */
export interface Plan {
  /** Undefined: the tag goes */
  tags: Map<string, TagRecord | undefined>
  restored: Map<Digest, KeptManifest>
  /** Manifests that go */
  removed: Digest[]
  /** Blobs that the repository gets back */
  blobs: Set<Digest>
}

/**
 * Reads what a repository was in an earlier state
 *
 * @throws OciError REQUEST_INVALID where that is not known
 */
export async function pastState(history: HistoryIndex, repository: string, to: number): Promise<PastState> {
  await requireState(history, to)
  const past: PastState = { tags: new Map(), manifests: new Map(), blobs: new Set() }
  for await (const { record, state } of history.changesOf(repository, { after: to })) {
    if (record.action === 'forget') {
      throw unknownState(to, `the history of ${repository} begins with state ${state}`)
    }
    for (const { tag, before } of record.tags) {
      past.tags.set(tag, before)
    }
    for (const { digest, before } of record.manifests) {
      past.manifests.set(digest, before)
    }
    for (const digest of record.unlinked) {
      past.blobs.add(digest)
    }
  }
  return past
}

/**
 * The state that was in force at a time, by the clock of this computer
 *
 * @throws OciError REQUEST_INVALID where the time is in the future, or before the first state that is known
 */
export async function stateAt(history: HistoryIndex, time: Date): Promise<number> {
  const now = new Date()
  if (time > now) {
    throw invalid(`${time.toISOString()} is in the future: it is ${now.toISOString()} now`)
  }
  const oldest = await history.oldest()
  let found: number | undefined
  let [low, high] = [oldest + 1, await history.last()]
  while (low <= high) {
    const middle = Math.floor((low + high) / 2)
    const change = await firstChange(history, middle, high)
    if (change !== undefined && new Date(change.time) <= time) {
      found = change.state
      low = change.state + 1
    } else {
      high = middle - 1
    }
  }
  const since = await history.oldestSince()
  if (found === undefined && !(since !== undefined && new Date(since) <= time)) {
    throw invalid(await tooEarly(history, time, oldest))
  }
  return found ?? oldest
}

async function tooEarly(history: HistoryIndex, time: Date, oldest: number): Promise<string> {
  const first = await firstChange(history, oldest + 1)
  const begin =
    first === undefined ? 'no change is remembered' : `the first change that is remembered was at ${first.time}`
  return `what was at ${time.toISOString()} is not known: ${begin}; the first state that is known is ${oldest}`
}

async function firstChange(history: HistoryIndex, from: number, through?: number): Promise<OrderedChange | undefined> {
  for await (const change of history.order({
    after: from - 1,
    before: through === undefined ? undefined : through + 1,
  })) {
    return change
  }
  return undefined
}

/** @throws OciError REQUEST_INVALID */
export async function requireState(history: HistoryIndex, state: number): Promise<void> {
  const [oldest, last] = [await history.oldest(), await history.last()]
  if (state < oldest || state > last) {
    throw unknownState(state, `known are the states from ${oldest} to ${last}`)
  }
}

export function unknownState(state: number, reason: string): OciError {
  return invalid(`state ${state} is not known: ${reason}`)
}

function invalid(reason: string): OciError {
  return new OciError('REQUEST_INVALID', { detail: { reason } })
}

/** What makes a whole repository as it was */
export async function planForRepository(index: Index, repository: string, past: PastState): Promise<Plan> {
  const plan: Plan = { tags: new Map(), restored: new Map(), removed: [], blobs: past.blobs }
  for (const [tag, before] of past.tags) {
    if ((await index.tag(repository, tag))?.digest !== before?.digest) {
      plan.tags.set(tag, before)
    }
  }
  for (const [digest, before] of past.manifests) {
    const now = await index.manifest(repository, digest)
    if (before === undefined && now !== undefined) {
      plan.removed.push(digest)
    } else if (before !== undefined && now?.root !== before.record.root) {
      plan.restored.set(digest, before)
    }
  }
  return plan
}

/**
 * What makes some tags as they were: their manifests come back where they were deleted since, with what they name and
 * with their referrers
 *
 * @throws OciError MANIFEST_UNKNOWN where the manifest of one is gone for good
 */
export async function planForTags(
  index: Index,
  repository: string,
  tags: readonly string[],
  past: PastState,
): Promise<Plan> {
  const plan: Plan = { tags: new Map(), restored: new Map(), removed: [], blobs: new Set() }
  for (const tag of tags) {
    const before = past.tags.get(tag)
    if (past.tags.has(tag) && (await index.tag(repository, tag))?.digest !== before?.digest) {
      plan.tags.set(tag, before)
    }
  }
  const referrers = Map.groupBy(past.manifests, ([, kept]) => kept?.record.subject)
  const seen = new Set<Digest>()
  const wanted = new Map(
    [...plan.tags].flatMap(([tag, before]) => (before === undefined ? [] : [[before.digest, tag]])),
  )
  const left = [...wanted.keys()]
  for (let digest = left.pop(); digest !== undefined; digest = left.pop()) {
    if (seen.has(digest)) {
      continue
    }
    seen.add(digest)
    if (past.blobs.has(digest)) {
      plan.blobs.add(digest)
    }
    const now = await index.manifest(repository, digest)
    const kept = now === undefined ? past.manifests.get(digest) : undefined
    if (kept !== undefined) {
      plan.restored.set(digest, kept)
    } else if (now === undefined && wanted.has(digest)) {
      throw new OciError('MANIFEST_UNKNOWN', { detail: { name: repository, tag: wanted.get(digest), digest } })
    }
    const record = now ?? kept?.record
    left.push(...(record === undefined ? [] : referencesOf(record)))
    left.push(...(referrers.get(digest) ?? []).map(([referrer]) => referrer))
  }
  return plan
}
