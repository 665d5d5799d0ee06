import { z } from 'zod'
import { addresses, amount, durationOrOff, key, text, wholeNumber } from './keys.ts'
import { unknownKeyOr } from './named-list.ts'
import { parseDuration } from './units.ts'

/* What becomes of images by their names: `retention` and `immutableTags`, see docs/policies.md */

const day = 86_400
const many = 1_000_000

const imageGlob = text(
  /^[^\s,:@]{1,255}(:[^\s,:/@]{1,128})?$/,
  'must be a repository or a glob, with a tag or a glob of tags if only these are meant, such as dev/**:pr-*',
)
const tagGlob = text(/^[^\s,:/@]{1,128}$/, 'must be a tag or a glob of tags, such as release-*')
const count = wholeNumber(1, many).optional()
const age = amount(parseDuration, 60, 3650 * day, 'duration such as 30d, from 1m to 3650d').optional()

const conditions = ['last', 'pushedWithin', 'pulledWithin', 'tags', 'versions', 'releases']
const keep = z
  .strictObject(
    {
      last: count,
      pushedWithin: age,
      pulledWithin: age,
      tags: listOf(tagGlob).optional(),
      versions: count,
      releases: count,
    },
    { error: unknownKeyOr(`must be a mapping with at least one of ${conditions.join(', ')}`) },
  )
  .refine(given => Object.values(given).some(value => value !== undefined), {
    error: `must have at least one of ${conditions.join(', ')}`,
  })

const form = 'must be IMAGES=CONDITIONS such as dev/**=last:10, or a mapping with images and keep, untagged or protect'
const rule = z
  .strictObject(
    {
      images: listOf(imageGlob),
      keep: keep.optional(),
      protect: z.literal(true, { error: 'must be true, or left out' }).optional(),
      untagged: age,
    },
    { error: unknownKeyOr(form) },
  )
  .refine(({ keep, protect, untagged }) => keep !== undefined || protect !== undefined || untagged !== undefined, {
    path: ['keep'],
    error: 'must be set, unless the rule has untagged or protect',
  })
  .refine(({ keep, protect, untagged }) => protect === undefined || (keep === undefined && untagged === undefined), {
    path: ['protect'],
    error: 'must not be set beside keep or untagged: what is protected stays',
  })

export const retention = key(
  z.array(z.preprocess(fromText, rule), { error: 'must be a list' }).default(() => []),
  'list',
  'Rules of which images are deleted by themselves, such as dev/**=last:10, or a mapping: see docs/policies.md',
)

export const retentionInterval = key(
  amount(durationOrOff, 0, 20 * day, 'duration such as 24h, at most 20d, or off').default(day),
  'duration',
  'Time between two runs of retention, if it has rules; off or 0 means only by ipdr retention',
)

export const immutableTags = addresses(
  imageGlob,
  'Globs of tags that are never moved or deleted, such as prod/** or app/*:v*: see docs/policies.md',
)

/** A text such as `dev/**=last:10+pushedWithin:7d` or `prod/**=protect` becomes a mapping */
function fromText(value: unknown): unknown {
  const [images, conditions] = typeof value === 'string' ? value.split('=') : []
  if (images === undefined || conditions === undefined) {
    return value
  }
  const rule: Record<string, unknown> = { images: [images] }
  const keep: Record<string, unknown> = {}
  for (const condition of conditions.split('+')) {
    const [name = '', text] = condition.split(':')
    const whole = text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : text
    const target = ['untagged', 'protect'].includes(name) ? rule : keep
    target[name] = name === 'protect' ? (text ?? true) : whole
  }
  return Object.keys(keep).length === 0 ? rule : { ...rule, keep }
}

/** A list that is not empty; one text stands for a list of it */
function listOf(item: z.ZodType<string>) {
  return z.preprocess(
    value => (typeof value === 'string' ? [value] : value),
    z.array(item, { error: 'must be a list' }).min(1, { error: 'must not be empty' }),
  )
}
