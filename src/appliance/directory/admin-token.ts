import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../log.ts'
import { readIfThere, replaceOwnerFile } from './owner-file.ts'

const tokenName = 'admin.token'
const tokenBytes = 32
/** Characters of the shortest token that can't be guessed */
const minLength = 16

export interface AdminTokenInit {
  dataDir: string
  /** Where somebody else keeps it @default `admin.token` in the data directory, which is made if it is missing */
  path?: string | undefined
}

/** The secret that administration over TCP requires */
export class AdminToken {
  readonly #log: Logger
  readonly #path: string
  readonly #own: boolean
  #failed = false

  constructor({ log }: { log: Logger }, { dataDir, path }: AdminTokenInit) {
    this.#log = log
    this.#path = path ?? join(dataDir, tokenName)
    this.#own = path === undefined
  }

  async start(): Promise<void> {
    if (this.#own && (await readIfThere(this.#path)) === undefined) {
      await replaceOwnerFile(this.#path, `${randomBytes(tokenBytes).toString('base64url')}\n`)
    }
  }

  /** Reads the file each time, so that a new token needs no restart; if it can't be read, nothing matches */
  async matches(given: string): Promise<boolean> {
    let token: string
    try {
      token = await readAdminToken(this.#path)
      this.#failed = false
    } catch (err) {
      if (!this.#failed) {
        this.#log.warn("nobody can administer over TCP: the token can't be read", {
          path: this.#path,
          reason: (err as Error).message,
        })
      }
      this.#failed = true
      return false
    }
    // hashes have the same length, whatever was given
    return timingSafeEqual(sha256(given), sha256(token))
  }
}

/** @throws Error if the file can't be read or holds no token */
export async function readAdminToken(path: string): Promise<string> {
  const token = (await readFile(path, 'utf8')).trim()
  if (token.length < minLength || !/^[\x21-\x7e]+$/.test(token)) {
    throw new Error(`it holds no token: one line of at least ${minLength} letters, digits and signs`)
  }
  return token
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
