import { imageMatcher, type ImageMatcher } from '../../oci/image-globs.ts'

/** A rule as the configuration has it; durations in seconds */
export interface RetentionRule {
  /** Globs of repositories, with or without tags */
  images: readonly string[]
  /** Of the tags that it is about, those stay that meet one of these; undefined: it says nothing about tags */
  keep?: KeepConditions | undefined
  /** Whether all that it is about stays */
  protect?: true | undefined
  /** How long a manifest without a tag stays; undefined: it says nothing about those */
  untagged?: number | undefined
}

interface KeepConditions {
  /** As many as these, of those that were pushed last */
  last?: number | undefined
  pushedWithin?: number | undefined
  pulledWithin?: number | undefined
  /** Globs of tags */
  tags?: readonly string[] | undefined
  /** As many as these, of the highest semantic versions */
  versions?: number | undefined
  /** The same without pre-releases */
  releases?: number | undefined
}

export interface CompiledRule extends RetentionRule, Pick<ImageMatcher, 'has' | 'hasRepository' | 'hasWhole'> {
  /** As the configuration names it, such as `retention[0]` */
  name: string
}

export function compileRules(rules: readonly RetentionRule[]): CompiledRule[] {
  return rules.map((rule, position) => ({ ...rule, ...imageMatcher(rule.images), name: `retention[${position}]` }))
}

/** Tells which repositories rules protect as a whole: their manifests without a tag stay, too */
export function wholeProtection(rules: readonly RetentionRule[]): (repository: string) => boolean {
  return imageMatcher(rules.filter(({ protect }) => protect === true).flatMap(({ images }) => images)).hasWhole
}

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
] as const

/** Seconds as the configuration writes them, such as `30d` */
export function durationText(seconds: number): string {
  const [unit, size] = units.find(([, size]) => seconds % size === 0) ?? ['s', 1]
  return `${seconds / size}${unit}`
}
