/** Reads the values of options; each throws InvalidArgumentError, from which commander makes the message */
import { InvalidArgumentError } from 'commander'
import { parseDuration, parseSize } from '../../config/units.ts'

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

/** The number of a state in the history */
export function state(text: string): number {
  return required(
    /^\d{1,15}$/.test(text) ? Number(text) : undefined,
    'It must be a number, as "ipdr history" lists it.',
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
