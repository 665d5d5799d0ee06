/**
 * What registries, peers and files say is printed as text alone: no character of it moves the cursor, colours, reverses or hides what is on the screen,
 * or begins a line of its own. Such characters are shown by their numbers, as the log does.
 */
import { Writable } from 'node:stream'
import type { CliContext } from '../process/context.ts'

const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
/** Those of a text that has lines */
const unprintableInLines = /[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]--[\n\t]]/gv

/** A value on one line */
export function printable(value: unknown): string {
  return String(value).replace(unprintable, character => (character === '\n' ? '\\n' : escaped(character)))
}

/** A text whose lines and tabs stay as they are */
export function printableLines(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(unprintableInLines, escaped)
}

/** A line, or several, with values that are made {@link printable}; what is between them stays as it is */
export function line(texts: TemplateStringsArray, ...values: unknown[]): string {
  return `${String.raw({ raw: texts }, ...values.map(printable))}\n`
}

/** A value as a line of JSON, in which all that JSON leaves as it is but a terminal may not is escaped too */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value).replace(unprintable, escaped)}\n`
}

/** A context of which nothing comes to a terminal but text in lines, whatever a command writes */
export function printableContext(context: CliContext): CliContext {
  const [stdout, stderr] = [context.stdout, context.stderr].map(
    stream =>
      new Writable({
        decodeStrings: false,
        write: (text: string | Buffer, _encoding, done) => {
          stream.write(printableLines(text.toString()))
          done()
        },
      }),
  ) as [Writable, Writable]
  return { ...context, stdout, stderr }
}

function escaped(character: string): string {
  return character
    .split('')
    .map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')
}
