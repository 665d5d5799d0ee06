/**
 * The audit log: who did what, and which rule allowed it or not. A file with one JSON object a line, of ASCII alone, so
 * that no name can forge a line or hide a part of one.
 */
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../log.ts'
import { AuditLogError } from './errors.ts'

const second = 1000
/** Bytes of lines that wait to be written; of more, the newest are lost */
const maxWaitingBytes = 1024 * 1024
/** Bytes that are written at once */
const batchBytes = 64 * 1024
/** Until the next attempt after a failure */
const retryInterval = second
const maxTextLength = 300

/** Values are shortened, never left out; undefined ones are */
export type AuditRecord = Record<
  string,
  string | number | readonly string[] | Readonly<Record<string, number>> | undefined
> & {
  action: string
  outcome: 'allowed' | 'denied' | 'failed' | 'changed'
}

export interface AuditLogInit {
  path: string
  /** Size at which a new file begins */
  maxBytes: number
  /** Old files that are kept: `<path>.1` is the newest */
  files: number
  /** Milliseconds between attempts where nothing can be written. @default a second */
  retryInterval?: number | undefined
}

/**
 * Writes in the background, so that nobody waits for the disk. Where it can't write, requests go on: lines wait in
 * memory as long as there is room for them, and a line tells how many were lost.
 */
export class AuditLog {
  readonly #log: Logger
  readonly #init: AuditLogInit
  #waiting: string[] = []
  #waitingBytes = 0
  #lost = 0
  #file: { handle: FileHandle; ino: number; size: number } | undefined
  #writing: Promise<void> | undefined
  #hasFailed = false
  #controller = new AbortController()

  constructor({ log }: { log: Logger }, init: AuditLogInit) {
    this.#log = log
    this.#init = init
  }

  /** @throws AuditLogError where the file can't be written to */
  async start(): Promise<void> {
    this.#controller = new AbortController()
    try {
      await this.#open()
    } catch (err) {
      throw new AuditLogError(this.#init.path, err)
    }
  }

  /** Waits for what can be written */
  async stop(): Promise<void> {
    this.#controller.abort()
    await this.#writing
    await this.#close()
  }

  /** Returns at once */
  write(record: AuditRecord): void {
    const line = lineOf(record)
    if (this.#waitingBytes + line.length > maxWaitingBytes) {
      this.#lost++
      return
    }
    this.#waiting.push(line)
    this.#waitingBytes += line.length
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined
    })
  }

  async #drain(): Promise<void> {
    const { signal } = this.#controller
    while (this.#waiting.length > 0) {
      const batch = this.#nextBatch()
      try {
        await this.#append(batch.join(''))
        this.#waiting.splice(0, batch.length)
        this.#waitingBytes -= batch.reduce((bytes, line) => bytes + line.length, 0)
        this.#succeeded()
      } catch (err) {
        this.#failed(err)
        if (signal.aborted) {
          return
        }
        await sleep(this.#init.retryInterval ?? retryInterval, undefined, { signal, ref: false }).catch(() => {})
      }
    }
  }

  #nextBatch(): string[] {
    let bytes = 0
    const end = this.#waiting.findIndex(line => {
      bytes += line.length
      return bytes > batchBytes
    })
    return this.#waiting.slice(0, end === -1 ? undefined : Math.max(1, end))
  }

  #succeeded(): void {
    if (this.#hasFailed) {
      this.#hasFailed = false
      this.#log.warn('the audit log is written again', { lost: this.#lost })
    }
    if (this.#lost > 0) {
      const lost = this.#lost
      this.#lost = 0
      this.write({ action: 'audit', outcome: 'failed', lost })
    }
  }

  /** Told once, not for each line */
  #failed(err: unknown): void {
    if (!this.#hasFailed) {
      this.#hasFailed = true
      const { code } = err as NodeJS.ErrnoException
      this.#log.error("the audit log can't be written; requests go on", { file: this.#init.path, reason: code })
    }
  }

  async #append(text: string): Promise<void> {
    const { maxBytes, path } = this.#init
    const found = await stat(path).catch(() => undefined)
    if (this.#file === undefined || found?.ino !== this.#file.ino) {
      // somebody else may have moved it away
      await this.#open()
    }
    if (this.#file!.size > 0 && this.#file!.size + text.length > maxBytes) {
      await this.#rotate()
    }
    const file = this.#file!
    try {
      await file.handle.appendFile(text)
      file.size += text.length
    } catch (err) {
      // half a line would spoil the next one
      await file.handle.truncate(file.size).catch(() => {})
      throw err
    }
  }

  async #rotate(): Promise<void> {
    const { files, path } = this.#init
    await this.#close()
    for (let i = files; i > 0; i--) {
      await rename(i === 1 ? path : `${path}.${i - 1}`, `${path}.${i}`).catch(ignoreMissing)
    }
    if (files === 0) {
      await rm(path, { force: true })
    }
    await this.#open()
  }

  async #open(): Promise<void> {
    await this.#close()
    const { path } = this.#init
    // to open a pipe would wait for its reader
    if ((await stat(path).catch(() => undefined))?.isFile() === false) {
      throw new Error('it is no file')
    }
    const handle = await open(path, 'a', 0o600)
    try {
      const found = await handle.stat()
      if ((found.mode & 0o077) !== 0) {
        await handle.chmod(0o600)
      }
      this.#file = { handle, ino: found.ino, size: found.size }
    } catch (err) {
      await handle.close()
      throw err
    }
  }

  async #close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.handle.close()
  }
}

function lineOf(record: AuditRecord): string {
  const short = (text: string): string => (text.length > maxTextLength ? `${text.slice(0, maxTextLength)}...` : text)
  const json = JSON.stringify({ time: new Date().toISOString(), ...record }, (_name, value: unknown) =>
    typeof value === 'string' ? short(value) : value,
  )
  return `${json.replace(/[\x7f-\uffff]/g, letter => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`
}

function ignoreMissing(err: NodeJS.ErrnoException): void {
  if (err.code !== 'ENOENT') {
    throw err
  }
}
