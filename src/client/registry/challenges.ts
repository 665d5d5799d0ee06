/** One way to log in that a server offers */
export interface Challenge {
  /** In lower case, such as `bearer` */
  scheme: string
  /** By their names in lower case, such as `realm` */
  params: Record<string, string>
}

/** A word, and its value if it is a parameter */
const part = /[\s,]*([^\s,="]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/gy

/**
 * What a `WWW-Authenticate` header offers, which may be several challenges, one after the other
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
 */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = []
  for (const [, word, quoted, plain] of header.matchAll(part)) {
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain
    if (value === undefined) {
      challenges.push({ scheme: word!.toLowerCase(), params: {} })
    } else {
      const params = challenges.at(-1)?.params
      if (params !== undefined) {
        params[word!.toLowerCase()] ??= value
      }
    }
  }
  return challenges
}
