import { z } from 'zod'
import { parseDuration, parseSize } from './units.ts'

/* What the schema is made of: keys with their notes, and the types of their values */

type KeyKind = 'text' | 'path' | 'number' | 'boolean' | 'list' | 'duration' | 'size'

export interface KeyNotes {
  kind: KeyKind
  /** One line, for --help and the comments of config/ipdr.yml */
  description: string
  choices?: readonly string[]
  /** Name of the flag, unless it is that of the key */
  flag?: string
}

export const notes = z.registry<KeyNotes>()

export function key<Schema extends z.ZodType>(
  schema: Schema,
  kind: KeyKind,
  description: string,
  more: Pick<KeyNotes, 'choices' | 'flag'> = {},
): Schema {
  notes.add(schema, { kind, description, ...more })
  return schema
}

export function choice<const Values extends readonly [string, ...string[]]>(
  values: Values,
  initial: Values[number],
  description: string,
) {
  const schema = z.enum(values, { error: `must be one of ${values.join(', ')}` })
  return key(schema.default(initial as never), 'text', description, { choices: values })
}

/** @param flag takes one item at a time */
export function addresses(item: z.ZodType<string>, description: string, flag?: string) {
  return key(
    z.array(item, { error: 'must be a list' }).default(() => []),
    'list',
    description,
    flag === undefined ? {} : { flag },
  )
}

export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape).prefault({} as never)
}

export function text(pattern: RegExp, error: string) {
  return z.string({ error }).regex(pattern, { error })
}

export function wholeNumber(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  return z.int({ error }).min(min, { error }).max(max, { error })
}

export function amount(parse: (value: unknown) => number | undefined, min: number, max: number, what: string) {
  return z.unknown().transform((value, context): number => {
    const result = parse(value)
    if (result === undefined || result < min || result > max) {
      context.addIssue({ code: 'custom', message: `must be a ${what}` })
      return z.NEVER
    }
    return result
  })
}

export function durationOrOff(value: unknown): number | undefined {
  return value === 'off' ? 0 : parseDuration(value)
}

export function sizeOrOff(value: unknown): number | undefined {
  return value === 'off' ? 0 : parseSize(value)
}
