/**
 * What registries, peers and files say could hold characters that move the cursor, colour, hide or reverse what is on
 * the terminal, or begin a line of their own. Everything that commands print goes through here: such characters are
 * shown as `\u001b`, as in the log.
 */
import { Writable } from 'node:stream'
import type { CliContext } from '../process/context.ts'

const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
/** The same without line breaks and tabs */
const unprintableInLines = /[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]--[\n\t]]/gv

/** A value as text of one line */
export function printable(value: unknown): string {
  return String(value).replace(unprintable, character => (character === '\n' ? '\\n' : escaped(character)))
}

/** A text that keeps its line breaks and tabs */
export function printableLines(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(unprintableInLines, escaped)
}

/** A template tag: ends the text with a line break, and makes every value in it {@link printable} */
export function line(texts: TemplateStringsArray, ...values: unknown[]): string {
  return `${String.raw({ raw: texts }, ...values.map(printable))}\n`
}

/** A value as one line of JSON, with the characters escaped that JSON allows but a terminal may act on */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value).replace(unprintable, escaped)}\n`
}

/** A context whose streams make everything printable, for whatever a command writes without `line` */
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
  const isTerminal = 'isTTY' in context.stderr && context.stderr.isTTY === true
  return { ...context, stdout, stderr, terminal: isTerminal ? context.stderr : undefined }
}

function escaped(character: string): string {
  return character
    .split('')
    .map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')
}
