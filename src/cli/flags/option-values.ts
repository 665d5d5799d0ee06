/** Reads the values of options; each throws InvalidArgumentError, from which commander makes the message */
import { InvalidArgumentError } from 'commander'
import { parseDuration, parseSize } from '../../config/units.ts'
import { parseTime } from '../../oci/time.ts'

/** Bytes */
export function size(text: string): number {
  return required(parseSize(text), 'It must be a size such as 10GiB.')
}

/** Bytes; 0 for `off`, which means unlimited */
export function sizeOrOff(text: string): number {
  return text === 'off' ? 0 : required(parseSize(text), 'It must be a size such as 50MiB, or off.')
}

/** Seconds */
export function duration(text: string): number {
  return required(parseDuration(text), 'It must be a duration such as 5m.')
}

export function wholeNumber(text: string): number {
  return required(/^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined, 'It must be a whole number from 1 on.')
}

/** A state of the history: its number, or a time at which it was in force, which may be told as how long ago */
export function state(text: string): number | string {
  if (/^\d{1,15}$/.test(text)) {
    return Number(text)
  }
  const ago = /[a-z]$/.test(text) ? parseDuration(text) : undefined
  const time = ago === undefined ? parseTime(text) : new Date(Date.now() - ago * 1000)
  const isTime = time !== undefined && !Number.isNaN(time.getTime())
  return required(
    isTime ? time.toISOString() : undefined,
    'It must be a number, as "ipdr history" lists it, or a time, such as 2h (ago) or 2026-11-30T14:00:00Z.',
  )
}

export function trueOrFalse(text: string): boolean {
  return required(['true', 'false'].includes(text) ? text === 'true' : undefined, 'It must be true or false.')
}

/** The values of an option that may be given several times */
export function repeated(text: string, earlier: readonly string[] = []): string[] {
  return [...earlier, text]
}

function required<Value>(value: Value | undefined, message: string): Value {
  if (value === undefined) {
    throw new InvalidArgumentError(message)
  }
  return value
}
