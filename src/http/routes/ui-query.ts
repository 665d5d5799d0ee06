import type { Request } from 'express'
import { isDigestAlgorithm } from '../../oci/digest.ts'
import { parseName, parseReference, type Reference } from '../../oci/reference.ts'
import { invalid } from './admin-json.ts'

/** Characters of a search */
const maxSearch = 300
const [defaultLimit, maxLimit] = [50, 100]

/**
 * What a page asks with
 *
 * @throws OciError REQUEST_INVALID
 */
export function textOf({ query }: Request, name: string): string {
  const text = query[name] ?? ''
  if (typeof text !== 'string' || text.length > maxSearch) {
    throw invalid(`${name} must be one text of at most ${maxSearch} characters`)
  }
  return text
}

/**
 * The part of a list that a page asks for
 *
 * @throws OciError REQUEST_INVALID
 */
export function partOf(req: Request): { from: number; limit: number } {
  const numberOf = (name: string, fallback: number): number => {
    const text = textOf(req, name)
    if (!/^\d{0,9}$/.test(text)) {
      throw invalid(`${name} must be a whole number`)
    }
    return text === '' ? fallback : Number(text)
  }
  return { from: numberOf('from', 0), limit: Math.min(numberOf('n', defaultLimit), maxLimit) }
}

/**
 * An image that is named beside one of a repository: by `<tag>` or `<digest>` in the same repository, or by
 * `<repository>:<tag>` or `<repository>@<digest>`
 *
 * @throws OciError NAME_INVALID, TAG_INVALID, DIGEST_INVALID
 */
export function otherImage(text: unknown, repository: string): { repository: string; reference: Reference } {
  const [, name, rest] = typeof text === 'string' ? (/^([^@:]*)[@:](.*)$/s.exec(text) ?? []) : []
  // a repository of such a name is rarer than a digest that is mistyped
  return name === undefined || isDigestAlgorithm(name)
    ? { repository, reference: parseReference(text) }
    : { repository: parseName(name), reference: parseReference(rest) }
}
