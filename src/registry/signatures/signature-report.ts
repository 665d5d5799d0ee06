import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { everything } from '../../oci/pagination.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'
import type { RequestOptions } from '../repository.ts'
import type { SignatureSource } from './read-signature.ts'
import { isAttachedTag } from './formats/signature-format.ts'
import type { RuleStanding, SignaturePolicy } from './signature-policy.ts'

/** What one rule says of one tag */
export interface SignatureDecision {
  /** `unsigned`: it has no signature that counts, and the rule refuses nothing */
  action: 'pass' | 'refuse' | 'unsigned'
  repository: string
  tag: string
  digest: Digest
  /** Such as `onlySigned[0]: signed by release` */
  why: string
}

/** How many tags were looked at, and what was found; a tag counts once for each rule about it */
export interface SignatureCounts {
  repositories: number
  pass: number
  refuse: number
  unsigned: number
}

export interface ReportComponents {
  index: Pick<Index, 'repositories' | 'tags'>
  policy: Pick<SignaturePolicy, 'isAbout' | 'standings'>
  local: (repository: string) => SignatureSource
}

export interface ReportOptions extends RequestOptions {
  onProgress?: ((counts: SignatureCounts) => void) | undefined
  onDecisions?: ((decisions: readonly SignatureDecision[]) => void) | undefined
}

/** Tells of each tag that a rule is about what becomes of it, as clients would find; changes nothing */
export async function reportSignatures(
  { index, local, policy }: ReportComponents,
  { onDecisions, onProgress, ...options }: ReportOptions,
): Promise<SignatureCounts> {
  const counts: SignatureCounts = { repositories: 0, pass: 0, refuse: 0, unsigned: 0 }
  const slice = new TimeSlice()
  for await (const repository of index.repositories(everything)) {
    if (!policy.isAbout(repository)) {
      continue
    }
    counts.repositories++
    const source = local(repository)
    for await (const { record, tag } of index.tags(repository, everything)) {
      const { digest } = record
      for (const found of isAttachedTag(tag) ? [] : await policy.standings(source, digest, options)) {
        const decision = { ...decided(found), repository, tag, digest }
        counts[decision.action]++
        onDecisions?.([decision])
      }
      onProgress?.({ ...counts })
      await slice.pause()
      options.signal?.throwIfAborted()
    }
  }
  return counts
}

function decided({ policy, refuse, standing }: RuleStanding): Pick<SignatureDecision, 'action' | 'why'> {
  if ('key' in standing) {
    return { action: 'pass', why: `${policy}: signed by ${standing.key}` }
  }
  const action = refuse.length === 0 ? 'unsigned' : 'refuse'
  return { action, why: `${policy}: ${standing.reason}` }
}
