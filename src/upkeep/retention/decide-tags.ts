import type { Digest } from '../../oci/digest.ts'
import { globMatcher } from '../../oci/globs.ts'
import { compareVersions, parseSemanticVersion, type SemanticVersion } from '../../oci/semantic-version.ts'
import type { RepositoryState } from './repository-state.ts'
import { durationText, type CompiledRule } from './rules.ts'

const second = 1000

/** What the rules say about a tag, and why */
export interface TagDecision {
  stays: boolean
  why: string
}

interface Item {
  tag: string
  digest: Digest
  /** Milliseconds since the epoch */
  pushed: number
}

export interface DecideTagsInit {
  rules: readonly CompiledRule[]
  isImmutable: (repository: string, tag: string) => boolean
  /** Milliseconds since the epoch */
  now: number
}

/**
 * Decides about each tag: it goes where at least one rule is about it and none of those keeps it. Those are left out
 * that belong to a manifest, and go with it.
 */
export function decideTags(
  state: RepositoryState,
  { rules, isImmutable, now }: DecideTagsInit,
): Map<string, TagDecision> {
  const belonging = new Set([...state.attached.values()].flat())
  const items = Array.from(state.tags, ([tag, { digest, updated }]) => ({ tag, digest, pushed: Date.parse(updated) }))
  const decisions = new Map<string, TagDecision>()
  const keep = (tag: string, why: string): void => {
    if (decisions.get(tag)?.stays !== true) {
      decisions.set(tag, { stays: true, why })
    }
  }
  for (const { tag } of items.filter(({ tag }) => isImmutable(state.repository, tag))) {
    keep(tag, 'it is immutable')
  }
  for (const rule of rules.filter(rule => rule.protect === true)) {
    for (const { tag } of items.filter(({ tag }) => rule.has(state.repository, tag))) {
      keep(tag, `${rule.name} protects it`)
    }
  }
  for (const rule of rules.filter(rule => rule.keep !== undefined)) {
    const own = items.filter(({ tag }) => !belonging.has(tag) && rule.has(state.repository, tag))
    for (const [tag, why] of kept(own, rule, state, now)) {
      keep(tag, `${rule.name} keeps it: ${why}`)
    }
    for (const { tag } of own.filter(({ tag }) => decisions.get(tag)?.stays !== true)) {
      const before = decisions.get(tag)
      decisions.set(tag, {
        stays: false,
        why: before ? `${before.why}, ${rule.name}` : `nothing keeps it: ${rule.name}`,
      })
    }
  }
  for (const { tag } of items.filter(({ tag }) => !belonging.has(tag) && !decisions.has(tag))) {
    keep(tag, 'no rule is about it')
  }
  return decisions
}

/** The tags that meet a condition of the rule, with the condition */
function* kept(
  items: readonly Item[],
  { keep = {} }: CompiledRule,
  state: RepositoryState,
  now: number,
): Generator<[string, string]> {
  const { last, pulledWithin, pushedWithin, releases, tags, versions } = keep
  if (tags !== undefined) {
    const matches = globMatcher(tags)
    yield* items.filter(({ tag }) => matches(tag)).map(pair('its name'))
  }
  if (last !== undefined) {
    yield* items
      .toSorted(byPush)
      .slice(0, last)
      .map(pair(`one of the last ${last}`))
  }
  if (versions !== undefined) {
    yield* highest(items, versions, () => true).map(pair(`one of the highest ${versions} versions`))
  }
  if (releases !== undefined) {
    const isRelease = ({ preRelease }: SemanticVersion): boolean => preRelease.length === 0
    yield* highest(items, releases, isRelease).map(pair(`one of the highest ${releases} releases`))
  }
  if (pushedWithin !== undefined) {
    const after = now - pushedWithin * second
    yield* items.filter(({ pushed }) => !(pushed <= after)).map(pair(`pushed within ${durationText(pushedWithin)}`))
  }
  if (pulledWithin !== undefined) {
    const after = now - pulledWithin * second
    const used = items.filter(({ digest, pushed }) => !(Math.max(pushed, lastPull(state, digest)) <= after))
    yield* used.map(pair(`pulled within ${durationText(pulledWithin)}`))
  }
}

function pair(why: string): (item: Item) => [string, string] {
  return ({ tag }) => [tag, why]
}

/** The last one first; of those that were pushed together, the one whose name sorts last */
function byPush(a: Item, b: Item): number {
  return b.pushed - a.pushed || (a.tag < b.tag ? 1 : -1)
}

/** The tags of the highest versions; a version that has several tags counts once */
function highest(items: readonly Item[], count: number, counts: (version: SemanticVersion) => boolean): Item[] {
  const versions = items
    .map(item => ({ item, version: parseSemanticVersion(item.tag) }))
    .filter(
      (pair): pair is { item: Item; version: SemanticVersion } => pair.version !== undefined && counts(pair.version),
    )
    .sort((a, b) => compareVersions(b.version, a.version))
  let different = 0
  return versions
    .filter(({ version }, position) => {
      const before = versions[position - 1]?.version
      different += Number(before === undefined || compareVersions(before, version) !== 0)
      return different <= count
    })
    .map(({ item }) => item)
}

/** When a manifest or one below it was last pulled; one of which that is not known may have been until it was noted */
export function lastPull({ manifests, pulls, pullsSince }: RepositoryState, digest: Digest): number {
  const seen = new Set<Digest>()
  let last = pullsSince
  const left = [digest]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (!seen.has(next)) {
      seen.add(next)
      last = Math.max(last, pulls.get(next) ?? 0)
      left.push(...(manifests.get(next)?.manifests ?? []))
    }
  }
  return last
}
