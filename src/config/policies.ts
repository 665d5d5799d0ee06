import { z } from 'zod'
import { addresses, amount, durationOrOff, key, text, wholeNumber } from './keys.ts'
import { unknownKeyOr } from './named-list.ts'
import { parseDuration, parseSize } from './units.ts'
import { glob } from './values.ts'

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
  z
    .array(
      z.preprocess(value => fromText(value, 'images', ['untagged', 'protect']), rule),
      { error: 'must be a list' },
    )
    .default(() => []),
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

const quotaForm =
  'must be REPOSITORIES=LIMITS such as team-a/**=bytes:100GiB, or a mapping with repositories and limits'
const limitNames = 'bytes, ownBytes, tags'
const bytes = amount(parseSize, 1, 2 ** 53 - 1, 'size such as 100GiB').optional()
const quota = z
  .strictObject(
    { repositories: listOf(glob), bytes, ownBytes: bytes, tags: wholeNumber(1, 2 ** 40).optional() },
    { error: unknownKeyOr(quotaForm) },
  )
  .refine(({ bytes, ownBytes, tags }) => bytes !== undefined || ownBytes !== undefined || tags !== undefined, {
    error: `must have at least one of ${limitNames}`,
  })

export const quotas = key(
  z
    .array(
      z.preprocess(value => fromText(value, 'repositories'), quota),
      { error: 'must be a list' },
    )
    .default(() => []),
  'list',
  'What repositories may have together, such as team-a/**=bytes:100GiB, or a mapping: see docs/policies.md',
)

const deprecatedForm = 'must be IMAGES=MESSAGE such as app:v1.*=use v2, or a mapping with images and message'
const deprecation = z.strictObject(
  {
    images: listOf(imageGlob),
    message: text(/^[ !#-[\]-~]{1,200}$/, 'must be 1 to 200 characters of ASCII, without quotes and backslashes'),
  },
  { error: unknownKeyOr(deprecatedForm) },
)

export const deprecated = key(
  z.array(z.preprocess(deprecationFrom, deprecation), { error: 'must be a list' }).default(() => []),
  'list',
  'Images whose clients are warned, such as app:v1.*=use v2, or a mapping: see docs/policies.md',
)

function deprecationFrom(value: unknown): unknown {
  const [images, ...message] = typeof value === 'string' ? value.split('=') : []
  return images === undefined || message.length === 0 ? value : { images: [images], message: message.join('=') }
}

/**
 * A text such as `dev/**=last:10+pushedWithin:7d` or `prod/**=protect` becomes a mapping
 *
 * @param own what is a key of the mapping itself, and not of `keep`; @default everything
 */
function fromText(value: unknown, globs: 'images' | 'repositories', own?: readonly string[]): unknown {
  const [names, conditions] = typeof value === 'string' ? value.split('=') : []
  if (names === undefined || conditions === undefined) {
    return value
  }
  const rule: Record<string, unknown> = { [globs]: [names] }
  const keep: Record<string, unknown> = {}
  for (const condition of conditions.split('+')) {
    const [name = '', text] = condition.split(':')
    const whole = text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : text
    const target = own?.includes(name) === false ? keep : rule
    target[name] = name === 'protect' ? (text ?? true) : whole
  }
  return Object.keys(keep).length === 0 ? rule : { ...rule, keep }
}

/** A list that is not empty; one text stands for a list of it */
export function listOf(item: z.ZodType<string>) {
  return z.preprocess(
    value => (typeof value === 'string' ? [value] : value),
    z.array(item, { error: 'must be a list' }).min(1, { error: 'must not be empty' }),
  )
}
