import { isNativeError } from 'node:util/types'

type Fields = Record<string, unknown>

const secretName = /(authorization|password|token|secret|cookie)s?$/i
const maxDepth = 8
const maxItems = 100

/** The fields of a line as JSON can hold them, without secrets and without what is undefined */
export function plainFields(fields: Fields, withStack: boolean): Array<[name: string, value: unknown]> {
  const plain: Array<[string, unknown]> = []
  // most lines need none
  let objects: PlainValues | undefined
  for (const name of Object.keys(fields).slice(0, maxItems)) {
    const value = fields[name]
    if (isSecret(name)) {
      plain.push([name, '[redacted]'])
    } else if (typeof value === 'object' && value !== null) {
      objects ??= new PlainValues(fields, withStack)
      plain.push([name, objects.of(value, 1)])
    } else if (value !== undefined) {
      plain.push([name, plainPrimitive(value)])
    }
  }
  return plain
}

export interface ErrorRecord extends Fields {
  name: string
  message: string
  code?: unknown
  stack?: string
}

const errorRecords = new WeakSet<object>()

export function isErrorRecord(value: unknown): value is ErrorRecord {
  return typeof value === 'object' && value !== null && errorRecords.has(value)
}

/** Turns any value into what JSON can hold; never throws, whatever the value's getters do */
class PlainValues {
  readonly #withStack: boolean
  /** Objects that contain the one that is being converted, and that one */
  readonly #open: Set<object>

  /** @param fields of which the values are */
  constructor(fields: object, withStack: boolean) {
    this.#open = new Set([fields])
    this.#withStack = withStack
  }

  of(value: unknown, depth: number): unknown {
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
        return [name, isSecret(String(name)) ? '[redacted]' : this.of(item, depth)]
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

const maxNames = 1000
/** Whether a value with this name is a secret; most lines have the same names */
const secrets = new Map<string, boolean>()

function isSecret(name: string): boolean {
  let known = secrets.get(name)
  if (known === undefined) {
    known = secretName.test(name)
    if (secrets.size < maxNames) {
      secrets.set(name, known)
    }
  }
  return known
}
