import type { ManifestRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { decideTags, type DecideTagsInit } from './decide-tags.ts'
import { planManifests } from './plan-manifests.ts'
import type { RepositoryState } from './repository-state.ts'

/** What becomes of a tag, or of a manifest, and why */
export interface RetentionDecision {
  action: 'delete' | 'keep'
  repository: string
  /** Undefined where it is about a manifest */
  tag?: string
  digest: Digest
  why: string
}

/** What is to be done in a repository */
export interface RetentionPlan {
  /** About all of its tags, the manifests that go, and those that would go but are needed */
  decisions: RetentionDecision[]
  tags: string[]
  manifests: Map<Digest, ManifestRecord>
}

/** Decides what becomes of the tags and manifests of a repository; the same state leads to the same plan */
export function planRetention(state: RepositoryState, init: DecideTagsInit): RetentionPlan {
  const { repository } = state
  const byTag = decideTags(state, init)
  const { going, needed } = planManifests(state, byTag, init)
  const subjects = new Map(
    Array.from(state.attached, ([subject, tags]) => tags.map(tag => [tag, subject] as const)).flat(),
  )
  const decisions: RetentionDecision[] = []
  for (const [tag, { digest }] of state.tags) {
    const decision = byTag.get(tag)
    const subject = subjects.get(tag)
    const stays = decision?.stays ?? (subject === undefined || !going.has(subject))
    const why = decision?.why ?? `${subject}, to which it belongs, ${stays ? 'stays' : 'goes'}`
    decisions.push({ action: stays ? 'keep' : 'delete', repository, tag, digest, why })
  }
  const tags = decisions.flatMap(({ action, tag }) => (action === 'delete' && tag !== undefined ? [tag] : []))
  for (const [digest, why] of going) {
    decisions.push({ action: 'delete', repository, digest, why })
  }
  for (const [digest, why] of needed) {
    decisions.push({ action: 'keep', repository, digest, why })
  }
  return {
    decisions,
    tags,
    manifests: new Map(Array.from(going, ([digest]) => [digest, state.manifests.get(digest)!])),
  }
}
