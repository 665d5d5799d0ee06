/** Reads the audit log backwards, so that its newest part costs the same however long it is */
import { open, stat } from 'node:fs/promises'

const chunkBytes = 64 * 1024
/** Of one question; with a filter that little matches, the rest is for the next one */
const maxScannedBytes = 4 * 1024 * 1024

/** One line, as {@link AuditLog} wrote it */
export type AuditEntry = Record<string, unknown> & { time: string; action: string; outcome: string }

export interface AuditQuestion {
  /** Where the last answer ended; @default at the end of the log */
  before?: string | undefined
  limit: number
  matches: (entry: AuditEntry) => boolean
  signal: AbortSignal
}

export interface AuditPart {
  /** The newest first */
  entries: AuditEntry[]
  /** Where the next part begins; absent at the beginning of the log */
  next?: string | undefined
}

interface Line {
  line: string
  /** Where it begins */
  position: number
  /** That were read for it */
  bytes: number
}

interface LogFile {
  path: string
  ino: string
  size: number
}

export class AuditReader {
  readonly #path: string
  readonly #files: number

  /** @param init.files old ones that are kept beside the first */
  constructor({ path, files }: { path: string; files: number }) {
    this.#path = path
    this.#files = files
  }

  /** Lines that are none of the audit log are left out */
  async read({ before, limit, matches, signal }: AuditQuestion): Promise<AuditPart> {
    const entries: AuditEntry[] = []
    let scanned = 0
    for await (const { bytes, line, next } of this.#linesBefore(before)) {
      signal.throwIfAborted()
      scanned += bytes
      const entry = parseEntry(line)
      if (entry !== undefined && matches(entry)) {
        entries.push(entry)
      }
      if (entries.length >= limit || scanned > maxScannedBytes) {
        return { entries, next }
      }
    }
    return { entries }
  }

  /** @param before as a line has it as `next`; undefined: the end of the log */
  async *#linesBefore(before: string | undefined): AsyncGenerator<Line & { next: string | undefined }> {
    const files = await this.#list()
    const [, ino, offset] = /^(\d+)-(\d+)$/.exec(before ?? '') ?? []
    // a file that is gone was the oldest
    const first = ino === undefined ? 0 : files.findIndex(file => file.ino === ino)
    for (const [i, file] of files.entries()) {
      if (first === -1 || i < first) {
        continue
      }
      const end = i === first && offset !== undefined ? Math.min(Number(offset), file.size) : file.size
      for await (const line of linesBackwards(file.path, end)) {
        const isLast = line.position === 0 && i === files.length - 1
        yield { ...line, next: isLast ? undefined : `${file.ino}-${line.position}` }
      }
    }
  }

  /** The newest first */
  async #list(): Promise<LogFile[]> {
    const paths = [this.#path, ...Array.from({ length: this.#files }, (_, i) => `${this.#path}.${i + 1}`)]
    const found = await Promise.all(
      paths.map(async path => {
        const stats = await stat(path).catch(() => undefined)
        return stats?.isFile() === true ? { path, ino: String(stats.ino), size: stats.size } : undefined
      }),
    )
    return found.filter(file => file !== undefined)
  }
}

/** @param end where the last line ends */
async function* linesBackwards(path: string, end: number): AsyncGenerator<Line> {
  // it may have been deleted since it was listed
  await using file = await open(path).catch(ignoreMissing)
  if (file === undefined) {
    return
  }
  let rest = Buffer.alloc(0)
  let position = end
  // a line of that length is none of the audit log
  while (position > 0 && rest.length < maxScannedBytes) {
    const start = Math.max(0, position - chunkBytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(position - start), 0, position - start, start)
    const text = Buffer.concat([buffer.subarray(0, bytesRead), rest])
    position = start
    let lineEnd = text.length
    let read = bytesRead
    while (lineEnd > 0) {
      // the last byte may end the line
      const newline = lineEnd < 2 ? -1 : text.lastIndexOf('\n', lineEnd - 2)
      if (newline === -1 && position > 0) {
        break
      }
      yield { line: text.toString('latin1', newline + 1, lineEnd), position: position + newline + 1, bytes: read }
      read = 0
      lineEnd = newline + 1
    }
    rest = text.subarray(0, lineEnd)
  }
}

function ignoreMissing(err: NodeJS.ErrnoException): undefined {
  if (err.code !== 'ENOENT') {
    throw err
  }
}

function parseEntry(line: string): AuditEntry | undefined {
  try {
    const value: unknown = JSON.parse(line)
    const { action, outcome, time } = (value ?? {}) as Record<string, unknown>
    return [action, outcome, time].every(text => typeof text === 'string') ? (value as AuditEntry) : undefined
  } catch {
    return undefined
  }
}
