import type { Writable } from 'node:stream'
import { isNativeError } from 'node:util/types'
import winston from 'winston'

/**
 * Messages are constant texts, variables go into fields. Levels: error = an operator must act, warn = degraded but
 * working, info = once per start, stop or push, debug = everything else.
 */
export interface Logger {
  error(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  debug(message: string, fields?: Fields): void
  /** A logger that adds these fields to every line */
  child(fields: Fields): Logger
}

type Fields = Record<string, unknown>
type Level = 'error' | 'warn' | 'info' | 'debug'

export interface LogInit {
  /** The least severe level that is written */
  level: Level
  /** json: one object per line with time, level, message and the fields; human: the same for a terminal */
  format: 'human' | 'json'
  /** @default process.stderr */
  stream?: Writable & { isTTY?: boolean; hasColors?: () => boolean }
}

interface Line {
  level: string
  message: unknown
  fields: Fields
}

const levels = { error: 0, warn: 1, info: 2, debug: 3 }
const colours: Record<string, number> = { error: 31, warn: 33, info: 32, debug: 90 }
const secretName = /(authorization|password|token|secret|cookie)s?$/i
const maxDepth = 8
const maxItems = 100

export function createLog({ level, format, stream = process.stderr }: LogInit): Logger {
  const coloured = stream.isTTY === true && stream.hasColors?.() === true
  const render = format === 'json' ? jsonLine : (line: Line) => humanLine(line, coloured)
  const sink = winston.createLogger({
    level,
    levels,
    format: winston.format.printf(info => {
      const withStack = level === 'debug' || info.level === 'error'
      return render({
        level: info.level,
        message: info.message,
        fields: plainFields(info['fields'] as Fields, withStack),
      })
    }),
    transports: [new winston.transports.Stream({ stream, eol: '\n' })],
  })
  return loggerOf(sink, {})
}

function loggerOf(sink: winston.Logger, bound: Fields): Logger {
  const writer =
    (level: Level) =>
    (message: string, fields?: Fields): void => {
      if (sink.isLevelEnabled(level)) {
        sink.log({ level, message, fields: { ...bound, ...fields } })
      }
    }
  return {
    error: writer('error'),
    warn: writer('warn'),
    info: writer('info'),
    debug: writer('debug'),
    child: fields => loggerOf(sink, { ...bound, ...fields }),
  }
}

function jsonLine({ level, message, fields }: Line): string {
  const fixed = { time: new Date().toISOString(), level, message: String(message) }
  const renamed = Object.entries(fields).map(([name, value]) => [Object.hasOwn(fixed, name) ? `${name}_` : name, value])
  return escapeControls(JSON.stringify({ ...fixed, ...Object.fromEntries(renamed) }))
}

function humanLine({ level, message, fields }: Line, coloured: boolean): string {
  const label = level.padEnd(5)
  const parts = [
    new Date().toISOString(),
    coloured ? `\x1b[${colours[level]}m${label}\x1b[0m` : label,
    escapeControls(String(message)),
  ]
  const stacks: string[] = []
  for (const [name, value] of Object.entries(fields)) {
    const shown = isErrorRecord(value) ? errorText(value, stacks) : value
    parts.push(`${bare(name)}=${bare(typeof shown === 'string' ? shown : JSON.stringify(shown))}`)
  }
  // indented, so that no line of a stack looks like a line of the log
  return [
    parts.join(' '),
    ...stacks.flatMap(stack => stack.split('\n')).map(line => `    ${escapeControls(line)}`),
  ].join('\n')
}

function errorText({ name, message, code, stack, cause, ...more }: ErrorRecord, stacks: string[]): string {
  if (stack !== undefined) {
    stacks.push(stack)
  }
  const parts = [message === '' ? name : message]
  if (code !== undefined) {
    parts.push(`(${String(code)})`)
  }
  if (Object.keys(more).length > 0) {
    parts.push(JSON.stringify(more))
  }
  if (cause !== undefined) {
    parts.push(`caused by ${isErrorRecord(cause) ? errorText(cause, stacks) : JSON.stringify(cause)}`)
  }
  return parts.join(' ')
}

function bare(text: string): string {
  return escapeControls(/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text))
}

/**
 * Escapes characters that could forge or hide a line: control characters, line separators, and marks of text direction
 */
function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, character => {
    return character === '\n' ? '\\n' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

function plainFields(fields: Fields, withStack: boolean): Fields {
  const plain = new PlainValues(withStack).of(fields) as Fields
  return Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined))
}

interface ErrorRecord extends Fields {
  name: string
  message: string
  code?: unknown
  stack?: string
}

const errorRecords = new WeakSet<object>()

function isErrorRecord(value: unknown): value is ErrorRecord {
  return typeof value === 'object' && value !== null && errorRecords.has(value)
}

/** Turns any value into what JSON can hold; never throws, whatever the value's getters do */
class PlainValues {
  readonly #withStack: boolean
  /** Objects that contain the one that is being converted, and that one */
  readonly #open = new Set<object>()

  constructor(withStack: boolean) {
    this.#withStack = withStack
  }

  of(value: unknown, depth = 0): unknown {
    if (typeof value !== 'object' || value === null) {
      return plainPrimitive(value)
    }
    if (this.#open.has(value)) {
      return '[circular]'
    }
    if (depth > maxDepth) {
      return '[deep]'
    }
    this.#open.add(value)
    try {
      return this.#ofObject(value, depth + 1)
    } catch {
      return '[unreadable]'
    } finally {
      this.#open.delete(value)
    }
  }

  #ofObject(value: object, depth: number): unknown {
    if (isNativeError(value) || value instanceof Error) {
      return this.#ofError(value, depth)
    }
    if (Array.isArray(value) || value instanceof Set) {
      return [...value].slice(0, maxItems).map(item => this.of(item, depth))
    }
    if (ArrayBuffer.isView(value)) {
      return `[${value.byteLength} bytes]`
    }
    if (value instanceof Date) {
      return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
    }
    // a CID, a peer ID, a multiaddr or a URL has a text of its own
    if (
      !(value instanceof Map) &&
      typeof value.toString === 'function' &&
      value.toString !== Object.prototype.toString
    ) {
      return String(value)
    }
    const entries: [unknown, unknown][] = value instanceof Map ? [...value] : Object.entries(value)
    return Object.fromEntries(
      entries.slice(0, maxItems).map(([name, item]) => {
        return [name, secretName.test(String(name)) ? '[redacted]' : this.of(item, depth)]
      }),
    )
  }

  #ofError(err: Error & { code?: unknown; errors?: unknown }, depth: number): ErrorRecord {
    const record: ErrorRecord = { name: String(err.name), message: String(err.message) }
    if (err.code !== undefined) {
      record.code = this.of(err.code, depth)
    }
    if (err.cause !== undefined) {
      record['cause'] = this.of(err.cause, depth)
    }
    if (Array.isArray(err.errors)) {
      record['errors'] = this.of(err.errors, depth)
    }
    if (this.#withStack && err.stack !== undefined) {
      record.stack = String(err.stack)
    }
    errorRecords.add(record)
    return record
  }
}

function plainPrimitive(value: unknown): unknown {
  if (typeof value === 'function') {
    return `[function ${value.name}]`
  }
  const hasNoJson =
    typeof value === 'bigint' || typeof value === 'symbol' || (typeof value === 'number' && !Number.isFinite(value))
  return hasNoJson ? String(value) : value
}
