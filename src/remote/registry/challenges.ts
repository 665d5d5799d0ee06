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

/** What of that a client here can do */
export interface OfferedLogIns {
  /** Parameters of the challenge for a token, of which `realm` says where to get it; undefined where none is taken */
  token: Record<string, string> | undefined
  /** Whether user and password are taken as they are */
  password: boolean
}

/** @param header `WWW-Authenticate` */
export function offeredLogIns(header: string): OfferedLogIns {
  const challenges = parseChallenges(header)
  return {
    token: challenges.find(({ params, scheme }) => scheme === 'bearer' && params['realm'] !== undefined)?.params,
    password: challenges.some(({ scheme }) => scheme === 'basic'),
  }
}
