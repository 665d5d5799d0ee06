import type { ConfigKey } from './key-tree.ts'

/** One value from one source, not checked yet */
export interface Entry {
  key: ConfigKey
  value: unknown
  /** For the reader of a problem, e.g. `flag --p2p-port` */
  source: string
  /** Not shown in problems, as it came from a file that may hold secrets */
  hidden?: boolean
}

/** The values of one source, and what is wrong with the source itself, such as unknown keys or an unreadable file */
export interface Entries {
  entries: Entry[]
  problems: string[]
}

/** Flags and environment variables are always text; the schema decides whether the result is valid */
export function fromText(key: ConfigKey, text: string): unknown {
  switch (key.kind) {
    case 'number':
      return /^-?\d{1,15}$/.test(text) ? Number(text) : text
    case 'boolean':
      return booleans.has(text) ? booleans.get(text) : text
    case 'list':
      return text
        .split(',')
        .map(item => item.trim())
        .filter(item => item !== '')
    default:
      return text
  }
}

const booleans = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
])

/** The value on one line, without what may be a key or a password */
export function shorten(value: unknown): string {
  if (typeof value === 'object' && value !== null) {
    return Array.isArray(value) ? 'a list' : 'a mapping'
  }
  if (typeof value === 'string' && /[\r\n]/.test(value)) {
    return 'a text of several lines'
  }
  const text =
    typeof value === 'string' ? JSON.stringify(value.replace(/^([a-z]+:\/\/)?.*@/i, '$1...@')) : String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

export function reasonOf(err: unknown): string {
  const { code, message } = err as NodeJS.ErrnoException
  return code === 'ENOENT'
    ? 'no such file'
    : code === 'EACCES'
      ? 'permission denied'
      : code === 'EISDIR'
        ? 'is a directory'
        : message
}
