import { isObject, isString } from '../../../oci/manifest/manifest-fields.ts'

/** Characters of one text that a page shows */
const maxText = 2000
const maxTexts = 200
const maxPairs = 200

/** A list that may be longer than what is shown of it */
export interface Limited<T> {
  items: T[]
  /** Of the whole list */
  total: number
}

export interface Pair {
  name: string
  value: string
}

export function limited<T, U>(list: readonly T[], max: number, shown: (item: T) => U): Limited<U> {
  return { items: list.slice(0, max).map(shown), total: list.length }
}

/** Undefined where it is no text, or an empty one; an ellipsis says where a long one was cut */
export function textOf(value: unknown): string | undefined {
  return isString(value) && value !== '' ? cut(value) : undefined
}

export function textsOf(value: unknown): Limited<string> {
  return limited(Array.isArray(value) ? value.filter(isString) : [], maxTexts, cut)
}

export function pairsOf(value: unknown): Limited<Pair> {
  const pairs = Object.entries(isObject(value) ? value : {}).filter((pair): pair is [string, string] =>
    isString(pair[1]),
  )
  return limited(pairs, maxPairs, ([name, text]) => ({ name: cut(name), value: cut(text) }))
}

/** Whether a text of these was longer than what is shown of it */
export function isCut(text: string): boolean {
  // one unit less where half of a surrogate pair went
  return text.length >= maxText && text.endsWith('…')
}

function cut(text: string): string {
  // whole characters: half of a surrogate pair is no text
  return text.length <= maxText
    ? text
    : `${text
        .slice(0, maxText)
        .toWellFormed()
        .replace(/\ufffd$/, '')}…`
}
