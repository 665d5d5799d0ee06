import type { ManifestRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { referencesOf } from '../../registry/manifest-record.ts'
import { lastPull, type TagDecision } from './decide-tags.ts'
import type { RepositoryState } from './repository-state.ts'
import { durationText, type CompiledRule } from './rules.ts'

const second = 1000

/** Why a manifest may go */
interface Candidate {
  /** What was pushed later did not come with it; milliseconds since the epoch */
  time: number
  why: string
}

/** Manifests that go, and those that would but that something needs; with the reason */
export interface ManifestPlan {
  going: Map<Digest, string>
  needed: Map<Digest, string>
}

/**
 * Decides which manifests go, where some tags do:
 *
 * - What a tag that goes leads to goes with it: the manifest, what an index lists, and what names one of these as its
 *   subject. What was pushed later than the tag, or lost a tag of its own later, did not come with it, and stays.
 * - A manifest without a tag goes by the rules about those.
 * - A manifest that stays keeps all that it names, and all that name it as their subject.
 *
 * @param decisions about tags
 * @param init.now milliseconds since the epoch
 */
export function planManifests(
  state: RepositoryState,
  decisions: ReadonlyMap<string, TagDecision>,
  { now, rules }: { rules: readonly CompiledRule[]; now: number },
): ManifestPlan {
  const candidates = candidatesOf(state, [...goingByTag(state, decisions), ...goingWithoutTag(state, rules, now)])
  const needed = neededOf(state, candidates, decisions)
  const going = new Map<Digest, string>()
  const stillNeeded = new Map<Digest, string>()
  for (const [digest, { why }] of candidates) {
    const need = needed.get(digest)
    if (need === undefined) {
      going.set(digest, why)
    } else {
      stillNeeded.set(digest, need)
    }
  }
  return { going, needed: stillNeeded }
}

type Start = [Digest, Candidate]

function* goingByTag({ tags }: RepositoryState, decisions: ReadonlyMap<string, TagDecision>): Generator<Start> {
  for (const [tag, { digest, updated }] of tags) {
    if (decisions.get(tag)?.stays === false) {
      yield [digest, { time: timeOf(updated), why: `its tag ${tag} goes` }]
    }
  }
}

/** Manifests without a tag for longer than each rule about them allows */
function* goingWithoutTag(state: RepositoryState, rules: readonly CompiledRule[], now: number): Generator<Start> {
  const { manifests, repository, tags } = state
  const about = rules.filter(({ untagged }) => untagged !== undefined)
  if (about.length === 0 || rules.some(rule => rule.protect === true && rule.hasWhole(repository))) {
    return
  }
  const longest = Math.max(...about.map(({ untagged = 0 }) => untagged))
  const tagged = new Set([...tags.values()].map(({ digest }) => digest))
  const why = `without a tag for ${durationText(longest)}: ${about.map(({ name }) => name).join(', ')}`
  for (const [digest, { updated }] of manifests) {
    const isOld = (time: number): boolean => time <= now - longest * second
    if (!tagged.has(digest) && updated !== undefined && isOld(timeOf(updated)) && isOld(lastPull(state, digest))) {
      yield [digest, { time: timeOf(updated), why }]
    }
  }
}

/** All that would go if nothing were needed */
function candidatesOf(state: RepositoryState, starts: readonly Start[]): Map<Digest, Candidate> {
  const { attached, manifests, referrers, tags } = state
  const found = new Map<Digest, Candidate>()
  const left = [...starts]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [digest, candidate] = next
    const record = manifests.get(digest)
    const before = found.get(digest)
    if (record === undefined || (before !== undefined && before.time >= candidate.time)) {
      continue
    }
    found.set(digest, candidate)
    for (const child of record.manifests) {
      if (timeOf(manifests.get(child)?.updated) <= candidate.time) {
        left.push([child, { time: candidate.time, why: `${digest}, which lists it, goes` }])
      }
    }
    const added = [...(referrers.get(digest) ?? []), ...(attached.get(digest) ?? []).map(tag => tags.get(tag)!.digest)]
    for (const other of added) {
      const time = Math.max(candidate.time, timeOf(manifests.get(other)?.updated))
      left.push([other, { time, why: `${digest}, to which it belongs, goes` }])
    }
  }
  return found
}

/** The manifests that have to stay, and what needs each */
function neededOf(
  { attached, manifests, referrers, tags }: RepositoryState,
  candidates: ReadonlyMap<Digest, unknown>,
  decisions: ReadonlyMap<string, TagDecision>,
): Map<Digest, string> {
  const needed = new Map<Digest, string>()
  const left: Array<[Digest, string]> = []
  for (const digest of manifests.keys()) {
    if (!candidates.has(digest)) {
      left.push([digest, 'no rule is about it'])
    }
  }
  for (const [tag, { digest }] of tags) {
    if (decisions.get(tag)?.stays === true) {
      left.push([digest, `tag ${tag} needs it`])
    }
  }
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [digest, why] = next
    const record = manifests.get(digest)
    if (record !== undefined && !needed.has(digest)) {
      needed.set(digest, why)
      left.push(...besides(digest, record, { attached, referrers, tags }))
    }
  }
  return needed
}

/** What stays with a manifest that stays */
function* besides(
  digest: Digest,
  record: ManifestRecord,
  { attached, referrers, tags }: Pick<RepositoryState, 'attached' | 'referrers' | 'tags'>,
): Generator<[Digest, string]> {
  for (const other of referencesOf(record)) {
    yield [other, `${digest} needs it`]
  }
  for (const other of referrers.get(digest) ?? []) {
    yield [other, `it belongs to ${digest}`]
  }
  for (const tag of attached.get(digest) ?? []) {
    yield [tags.get(tag)!.digest, `it belongs to ${digest}`]
  }
}

/** Milliseconds since the epoch; 0 where it is not known */
function timeOf(updated: string | undefined): number {
  return updated === undefined ? 0 : Date.parse(updated)
}
