/**
 * A password file as `htpasswd -B` of Apache writes it: `<user>:<bcrypt hash>` a line, `#` before a comment.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { anonymous } from '../rules/identity.ts'
import { userName } from './access-schema.ts'
import { AccessFileError, type Problem } from './errors.ts'

/** Of bcrypt: what comes after it is not looked at, so a longer password would match by its beginning */
const maxPasswordBytes = 72
/** A password that was right is known to be right for as long; milliseconds */
const rememberedFor = 60_000
const maxRemembered = 1000
/** Salt and hash of no password that anybody has */
const noPassword = '/b3nPq6Q/tmuYuLqNiZwEeM4e6/HjhPPfk3Fv/lXQmraM36yHMbZW'

/** Hashes by user */
export type Passwords = ReadonlyMap<string, string>

/**
 * @param name of the file, for messages
 * @throws AccessFileError with every problem, each with its line
 */
export function parsePasswords(name: string, text: string): Passwords {
  const passwords = new Map<string, string>()
  const problems: Problem[] = []
  text.split(/\r?\n/).forEach((content, i) => {
    if (content.trim() === '' || content.startsWith('#')) {
      return
    }
    const problem = addPassword(passwords, content)
    if (problem !== undefined) {
      problems.push({ line: i + 1, ...problem })
    }
  })
  if (problems.length > 0) {
    throw new AccessFileError(name, problems)
  }
  return passwords
}

function addPassword(passwords: Map<string, string>, content: string): Omit<Problem, 'line'> | undefined {
  const colon = content.indexOf(':')
  const user = content.slice(0, Math.max(colon, 0))
  if (!userName.test(user) || user === anonymous) {
    return { column: 1, message: 'must begin with a user name, without blanks, and a colon' }
  }
  if (passwords.has(user)) {
    return { column: 1, message: 'this user has a line already' }
  }
  const hash = content.slice(colon + 1).trimEnd()
  if (!/^\$2[aby]\$(0[4-9]|1[0-7])\$[./A-Za-z0-9]{53}$/.test(hash)) {
    return { column: colon + 2, message: 'must be a bcrypt hash of cost 4 to 17, as htpasswd -B makes it' }
  }
  passwords.set(user, hash)
  return undefined
}

export interface PasswordComparison {
  readonly isBusy: boolean
  matches: (password: string, hash: string) => Promise<boolean>
}

/** Tells whether a password is that of a user */
export class PasswordCheck {
  readonly #comparison: PasswordComparison
  /** Keys are made with a secret of this process: what is in memory tells no password */
  readonly #remembered = new LRUCache<string, true>({ max: maxRemembered, ttl: rememberedFor })
  readonly #secret = randomBytes(32)

  constructor({ comparison }: { comparison: PasswordComparison }) {
    this.#comparison = comparison
  }

  get isBusy(): boolean {
    return this.#comparison.isBusy
  }

  async isRight(passwords: Passwords, user: string, password: string): Promise<boolean> {
    const hash = passwords.get(user)
    const key = createHmac('sha256', this.#secret)
      .update(`${user}:${hash ?? ''}:${password}`)
      .digest('base64')
    if (hash !== undefined && this.#remembered.has(key)) {
      return true
    }
    const isLong = Buffer.byteLength(password) > maxPasswordBytes
    const matches = await this.#comparison.matches(isLong ? '' : password, hash ?? this.#noUserHash(passwords, user))
    if (!matches || isLong || hash === undefined) {
      return false
    }
    this.#remembered.set(key, true)
    return true
  }

  /**
   * Compared with where there is no such user, at the cost that one of the users has, always the same for one name:
   * neither the time of an answer nor that of several tells which users there are
   */
  #noUserHash(passwords: Passwords, user: string): string {
    const hashes = [...passwords.values()]
    const digest = createHmac('sha256', this.#secret).update(`no ${user}`).digest()
    const cost = hashes[digest.readUInt32BE() % hashes.length]?.slice(0, '$2b$10$'.length) ?? '$2b$10$'
    return `${cost}${noPassword}`
  }
}
