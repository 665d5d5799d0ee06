/**
 * API keys, with which robots log in. A key is a secret and the list of what it is for; it belongs to no user, and so
 * outlives whoever made it. They are kept in one file:
 *
 * ```json
 * {
 *   "keys": [
 *     {
 *       "name": "ci",
 *       "hash": "<SHA-256 of the secret, base64url>",
 *       "scopes": ["team/**:pull,push"],
 *       "owner": "alice",
 *       "created": "2026-11-30T00:00:00.000Z",
 *       "expires": "2027-02-28T00:00:00.000Z"
 *     }
 *   ]
 * }
 * ```
 *
 * A secret has 256 random bits, so a fast hash keeps it as well as a slow one would.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { repositoryPattern, userName } from './access-schema.ts'
import { actions, type Action } from '../rules/actions.ts'
import { AccessFileError } from './errors.ts'

const secretBytes = 32
const maxScopes = 100

export interface ApiKey {
  name: string
  /** SHA-256 of the secret, base64url */
  hash: string
  /** `<pattern of repositories>:<action>,<action>`, as {@link parseKeyScope} reads it */
  scopes: readonly string[]
  /** Whom to ask about it; it stays valid when he is gone */
  owner?: string | undefined
  /** As `Date.toISOString` writes it */
  created: string
  /** undefined: it is valid until it is revoked */
  expires?: string | undefined
}

/** What a key may do with some repositories */
export interface KeyScope {
  /** Glob: `*` within a part of the name, `**` across parts */
  repositories: string
  actions: readonly Action[]
}

export const keyName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/**
 * What stands after `--scope`, such as `team/**:pull,push`
 *
 * @throws RangeError where it is something else
 */
export function parseKeyScope(text: string): KeyScope {
  // a name may have a colon before a port
  const colon = text.lastIndexOf(':')
  const repositories = text.slice(0, Math.max(colon, 0))
  const names = text.slice(colon + 1).split(',')
  if (!repositoryPattern.test(repositories)) {
    throw new RangeError('must be a pattern of repositories, a colon and actions, such as team/**:pull,push')
  }
  const wrong = names.find(name => !actions.includes(name as Action))
  if (wrong !== undefined) {
    throw new RangeError(`must end with actions out of ${actions.join(', ')}, and ${wrong || 'nothing'} is none`)
  }
  return { repositories, actions: names as Action[] }
}

/** Whether a text looks like the secret of a key, and so is no password of a user */
export function isKeySecret(text: string): boolean {
  return /^ipdr_[A-Za-z0-9_-]{43}$/.test(text)
}

export function newKeySecret(): string {
  return `ipdr_${randomBytes(secretBytes).toString('base64url')}`
}

export function hashOfSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}

export function isExpired({ expires }: Pick<ApiKey, 'expires'>, now = Date.now()): boolean {
  return expires !== undefined && Date.parse(expires) <= now
}

/** The keys that were made and not revoked */
export class ApiKeys {
  readonly #byName: ReadonlyMap<string, ApiKey>
  readonly #byHash: ReadonlyMap<string, ApiKey>

  constructor(keys: readonly ApiKey[]) {
    this.#byName = new Map(keys.map(key => [key.name, key]))
    this.#byHash = new Map(keys.map(key => [key.hash, key]))
  }

  get all(): ApiKey[] {
    return [...this.#byName.values()]
  }

  /** Expired or not */
  get(name: string): ApiKey | undefined {
    return this.#byName.get(name)
  }

  /** The key with this secret; undefined where there is none, or it has expired */
  find(secret: string): ApiKey | undefined {
    const hash = hashOfSecret(secret)
    const key = this.#byHash.get(hash)
    const isRight = key !== undefined && timingSafeEqual(Buffer.from(key.hash), Buffer.from(hash))
    return isRight && !isExpired(key) ? key : undefined
  }
}

const instant = z.iso.datetime({ error: 'must be a time such as 2027-02-28T00:00:00.000Z' })
const scopeText = z.string().refine(isKeyScope, { error: 'must be a scope such as team/**:pull,push' })
const fileSchema = z.strictObject({
  keys: z.array(
    z.strictObject({
      name: z.string().regex(keyName, { error: 'must be the name of a key' }),
      hash: z.string().regex(/^[A-Za-z0-9_-]{43}$/, { error: 'must be a SHA-256 in base64url' }),
      scopes: z.array(scopeText).min(1, { error: 'must not be empty' }).max(maxScopes),
      owner: z.string().regex(userName, { error: 'must be a user name' }).optional(),
      created: instant,
      expires: instant.optional(),
    }),
  ),
})

/**
 * @param name of the file, for messages
 * @throws AccessFileError
 */
export function parseKeys(name: string, text: string): ApiKey[] {
  const fail = (message: string): never => {
    throw new AccessFileError(name, [{ line: 1, column: 1, message }])
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (err) {
    return fail(`is no JSON: ${(err as Error).message}`)
  }
  const { data, error } = fileSchema.safeParse(json)
  if (data === undefined) {
    const { path, message } = error.issues[0]!
    return fail(`${path.join('.') || 'file'}: ${message}`)
  }
  const { keys } = data
  return new Set(keys.map(key => key.name)).size === keys.length ? keys : fail('two keys have the same name')
}

export function formatKeys(keys: readonly ApiKey[]): string {
  return `${JSON.stringify({ keys }, undefined, 2)}\n`
}

function isKeyScope(text: string): boolean {
  try {
    parseKeyScope(text)
    return true
  } catch {
    return false
  }
}
