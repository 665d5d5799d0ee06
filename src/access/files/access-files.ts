import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Logger } from '../../log.ts'
import { parseAccessFile, type AccessRules } from './access-file.ts'
import { KeyedLock } from '../../scheduling/keyed-lock.ts'
import { changesOf } from './audit-changes.ts'
import type { AuditLog } from '../audit/audit-log.ts'
import { ApiKeys, parseKeys, type ApiKey } from './api-keys.ts'
import { AccessFileError } from './errors.ts'
import { parsePasswords, type Passwords } from './htpasswd.ts'

/** Between two looks whether a file has changed; milliseconds */
const period = 500
/** Times that files are read which change while they are read */
const maxReads = 10

/** Rules, passwords and keys that belong together: who has one of these sees no change of the files */
export interface AccessState extends AccessRules {
  passwords: Passwords
  keys: ApiKeys
}

export interface AccessFilesInit {
  /** With the rules; where there is none, everybody may do everything */
  accessFile: string
  /** Whether the file with the rules has to be there */
  required: boolean
  passwordFile: string
  /** With the API keys */
  keyFile: string
}

/**
 * Reads rules, passwords and keys, and again where they change; what can't be used is told in the log, and the old ones
 * stay
 */
export class AccessFiles {
  readonly #log: Logger
  readonly #audit: Pick<AuditLog, 'write'> | undefined
  readonly #init: AccessFilesInit
  readonly #lock = new KeyedLock()
  #state: AccessState | undefined
  #seen = ''
  /** How changed files looked that may still be written to */
  #changing = ''
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  /** Why the files as they were last read are not in force */
  #problem: string | undefined
  readonly #listeners: (() => void)[] = []

  /** @param components.audit is told what changes */
  constructor({ log, audit }: { log: Logger; audit?: Pick<AuditLog, 'write'> | undefined }, init: AccessFilesInit) {
    this.#log = log
    this.#audit = audit
    this.#init = init
  }

  /** Undefined where there are no rules */
  get state(): AccessState | undefined {
    return this.#state
  }

  /** @param listener is called right after each change of the {@link state} once it was loaded */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** @throws AccessFileError where a file can't be used */
  async load(): Promise<void> {
    this.#state = await this.#readUnchanged()
  }

  /** @throws AccessFileError where a file can't be used */
  async start(): Promise<void> {
    await this.load()
    if (this.#state === undefined) {
      this.#log.warn('everybody who reaches the port can push and delete; "ipdr access init private" closes it')
    }
    this.#timer ??= setInterval(() => {
      this.#looking ??= this.#refresh(false).finally(() => {
        this.#looking = undefined
      })
    }, period).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.#looking
  }

  /**
   * Reads the files now, changed or not
   *
   * @returns why those read before stay in force; undefined: the new ones are
   */
  async reload(): Promise<string | undefined> {
    await this.#refresh(true)
    return this.#problem
  }

  /** One after the other: what was read earlier never replaces what was read later */
  async #refresh(always: boolean): Promise<void> {
    await this.#lock.run('files', async () => {
      await this.#readIfChanged(always)
    })
  }

  async #readIfChanged(always: boolean): Promise<void> {
    const seen = await this.#look()
    if (seen === this.#seen && !always) {
      return
    }
    if (seen !== this.#changing && !always) {
      // half of a file may allow what the whole one denies: it is read once it has been the same for two looks
      this.#changing = seen
      return
    }
    try {
      const state = await this.#readUnchanged()
      if (state === undefined && this.#state !== undefined) {
        this.#problem = `${basename(this.#init.accessFile)} is gone`
        this.#log.error('the access rules are gone; those read before stay in force', { file: this.#init.accessFile })
        await this.#dropRevokedKeys()
        return
      }
      this.#replace(state)
      this.#problem = undefined
      this.#log.info('access rules read', { file: this.#init.accessFile })
    } catch (err) {
      const reason = (err as Error).message
      this.#problem = reason
      this.#audit?.write({ action: 'rules', outcome: 'failed', reason })
      this.#log.error("the access rules can't be used; those read before stay in force", { reason })
      await this.#dropRevokedKeys()
    }
  }

  /** A key that was revoked opens nothing any more, whatever is wrong with another file; new keys wait for the rules */
  async #dropRevokedKeys(): Promise<void> {
    const state = this.#state
    const found = await this.#readKeys().catch(() => undefined)
    if (state === undefined || found === undefined) {
      return
    }
    const hashes = new Map(found.map(({ name, hash }) => [name, hash]))
    const left = state.keys.all.filter(({ name, hash }) => hashes.get(name) === hash)
    if (left.length < state.keys.all.length) {
      this.#replace({ ...state, keys: new ApiKeys(left) })
    }
  }

  #replace(state: AccessState | undefined): void {
    if (this.#audit !== undefined) {
      changesOf(this.#state, state).forEach(change => this.#audit?.write(change))
    }
    this.#state = state
    this.#listeners.forEach(listener => {
      listener()
    })
  }

  /**
   * Reads files that belong together: rules of one state with passwords of another may allow what neither state does
   *
   * @throws AccessFileError where a file can't be used, Error where they change again and again
   */
  async #readUnchanged(): Promise<AccessState | undefined> {
    for (let reads = 0; reads < maxReads; reads++) {
      this.#seen = await this.#look()
      const [result] = await Promise.allSettled([this.#read()])
      if ((await this.#look()) !== this.#seen) {
        continue
      }
      if (result.status === 'rejected') {
        throw result.reason
      }
      return result.value
    }
    throw new Error('the files change while they are read')
  }

  /** What tells that a file is another one than before */
  async #look(): Promise<string> {
    const files = await Promise.all(
      [this.#init.accessFile, this.#init.passwordFile, this.#init.keyFile].map(async file => {
        const { mtimeNs, size, ino } = (await stat(file, { bigint: true }).catch(() => undefined)) ?? {}
        return `${mtimeNs} ${size} ${ino}`
      }),
    )
    return files.join()
  }

  async #read(): Promise<AccessState | undefined> {
    const { accessFile, passwordFile, required } = this.#init
    const rules = await readText(accessFile)
    if (rules === undefined) {
      if (required) {
        throw new AccessFileError(accessFile, [{ line: 1, column: 1, message: 'there is no such file' }])
      }
      return undefined
    }
    const passwords = (await readText(passwordFile)) ?? ''
    return {
      ...parseAccessFile(basename(accessFile), rules),
      passwords: parsePasswords(basename(passwordFile), passwords),
      keys: new ApiKeys(await this.#readKeys()),
    }
  }

  async #readKeys(): Promise<ApiKey[]> {
    const { keyFile } = this.#init
    const text = await readText(keyFile)
    return text === undefined ? [] : parseKeys(basename(keyFile), text)
  }
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined
    }
    throw err
  }
}
