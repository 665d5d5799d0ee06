import { isErrorRecord, type ErrorRecord } from './plain-values.ts'

export interface Line {
  level: string
  message: string
  /** As JSON can hold them */
  fields: ReadonlyArray<[name: string, value: unknown]>
}

const colours: Record<string, number> = { error: 31, warn: 33, info: 32, debug: 90 }

export function jsonLine({ level, message, fields }: Line): string {
  const fixed = { time: now(), level, message }
  const renamed = fields.map(([name, value]) => [Object.hasOwn(fixed, name) ? `${name}_` : name, value])
  return escapeControls(JSON.stringify({ ...fixed, ...Object.fromEntries(renamed) }))
}

export function humanLine({ level, message, fields }: Line, coloured: boolean): string {
  const label = level.padEnd(5)
  let text = `${now()} ${coloured ? `\x1b[${colours[level]}m${label}\x1b[0m` : label} ${escapeControls(message)}`
  const stacks: string[] = []
  for (const [name, value] of fields) {
    const shown = isErrorRecord(value) ? errorText(value, stacks) : value
    text += ` ${bare(name)}=${bare(typeof shown === 'string' ? shown : JSON.stringify(shown))}`
  }
  // indented, so that no line of a stack looks like a line of the log
  return [text, ...stacks.flatMap(stack => stack.split('\n')).map(line => `    ${escapeControls(line)}`)].join('\n')
}

/** Made once for all lines of a millisecond */
let time = { milliseconds: NaN, text: '' }

function now(): string {
  const milliseconds = Date.now()
  if (time.milliseconds !== milliseconds) {
    time = { milliseconds, text: new Date(milliseconds).toISOString() }
  }
  return time.text
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

/** Most texts are of these characters alone */
const printable = /^[ -~]*$/
const word = /^[!#-<>-~]+$/

function bare(text: string): string {
  return word.test(text) ? text : escapeControls(/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text))
}

/**
 * Escapes characters that could forge or hide a line: control characters, line separators, and marks of text direction
 */
function escapeControls(text: string): string {
  return printable.test(text)
    ? text
    : text.replace(/[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, character => {
        return character === '\n' ? '\\n' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
      })
}
