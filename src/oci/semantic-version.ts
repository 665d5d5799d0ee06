/** A tag that is a semantic version, with or without a `v` before it */
export interface SemanticVersion {
  /** Major, minor, patch */
  numbers: readonly [bigint, bigint, bigint]
  /** What makes it a pre-release; empty: it is a release */
  preRelease: readonly string[]
}

/** A tag can't have a `+`, so Helm and others write build metadata after a `_` */
const form = /^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([\da-z.-]+))?(?:_[\da-z.-]+)?$/i
/** Of a pre-release: a number without zeros before it, or something with a letter or a hyphen */
const identifier = /^(?:0|[1-9]\d*|\d*[a-z-][\da-z-]*)$/i

/**
 * @returns undefined where the tag is not one, such as `1.4` or `latest`
 * @see https://semver.org/#semantic-versioning-200
 */
export function parseSemanticVersion(tag: string): SemanticVersion | undefined {
  const [, major, minor, patch, rest] = form.exec(tag) ?? []
  const preRelease = rest?.split('.') ?? []
  if (major === undefined || minor === undefined || patch === undefined || !preRelease.every(isIdentifier)) {
    return undefined
  }
  return { numbers: [BigInt(major), BigInt(minor), BigInt(patch)], preRelease }
}

function isIdentifier(text: string): boolean {
  return identifier.test(text)
}

/**
 * Below 0 where `a` is the lower version, above 0 where it is the higher one; build metadata does not count
 *
 * @see https://semver.org/#spec-item-11
 */
export function compareVersions(a: SemanticVersion, b: SemanticVersion): number {
  for (const [position, number] of a.numbers.entries()) {
    const other = b.numbers[position]!
    if (number !== other) {
      return number < other ? -1 : 1
    }
  }
  if (a.preRelease.length === 0 || b.preRelease.length === 0) {
    return b.preRelease.length - a.preRelease.length
  }
  for (const [position, identifier] of a.preRelease.entries()) {
    const other = b.preRelease[position]
    if (other === undefined) {
      return 1
    }
    if (identifier !== other) {
      return compareIdentifiers(identifier, other)
    }
  }
  return a.preRelease.length - b.preRelease.length
}

function compareIdentifiers(a: string, b: string): number {
  const [isNumber, isOtherNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)]
  if (isNumber && isOtherNumber) {
    return BigInt(a) < BigInt(b) ? -1 : 1
  }
  if (isNumber !== isOtherNumber) {
    return isNumber ? -1 : 1
  }
  return a < b ? -1 : 1
}
