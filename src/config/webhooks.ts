import { z } from 'zod'
import { amount, key, section, text, wholeNumber } from './keys.ts'
import { requireDistinct, toList, unknownKeyOr } from './named-list.ts'
import { parseDuration } from './units.ts'
import { gatewayUrl, glob, pathText } from './values.ts'

/* Who is told what happens in the registry: `webhooks` and what it lists, and `events` */

/** What webhooks can be told of; src/index/events.ts says what each is */
export const eventKinds = ['push', 'pull', 'delete', 'tag', 'policy', 'quota', 'repair'] as const
/** Those that the envelope of distribution has an action for */
const envelopeKinds: readonly string[] = ['push', 'pull', 'delete']
const defaultQueue = 10_000

const form = 'must be NAME=URL, or a mapping with name and url'
const webhook = z
  .strictObject(
    {
      name: text(/^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/, 'must be a name such as ci or chat-2, in lower case'),
      url: gatewayUrl,
      format: z
        .enum(['cloudevents', 'distribution'], { error: 'must be cloudevents or distribution' })
        .default('cloudevents'),
      events: z
        .array(z.enum(eventKinds, { error: `must be one of ${eventKinds.join(', ')}` }), { error: 'must be a list' })
        .min(1, { error: 'must not be empty' })
        .optional(),
      repositories: z.array(glob, { error: 'must be a list' }).default(() => ['**']),
      secret: pathText.optional(),
      ca: pathText.optional(),
      timeout: amount(parseDuration, 0.1, 300, 'duration such as 10s, from 100ms to 5m').default(10),
      queue: wholeNumber(1, 1_000_000).default(defaultQueue),
    },
    { error: unknownKeyOr(form) },
  )
  .superRefine(({ events, format }, context) => {
    for (const [index, kind] of (events ?? []).entries()) {
      if (format === 'distribution' && !envelopeKinds.includes(kind)) {
        const message = `can't be told in the format distribution, which has ${envelopeKinds.join(', ')}`
        context.addIssue({ code: 'custom', message, path: ['events', index] })
      }
    }
  })
  .transform(listed => ({
    ...listed,
    events:
      listed.events ?? eventKinds.filter(kind => listed.format !== 'distribution' || envelopeKinds.includes(kind)),
  }))

export const webhooks = key(
  z
    .preprocess(
      toList,
      z.array(webhook, { error: 'must be a list or a mapping of names' }).superRefine(requireDistinct),
    )
    .default(() => []),
  'list',
  'Who is told what happens here, each NAME=URL, or a mapping with more: see docs/events.md',
  { flag: 'webhook' },
)

export const events = section({
  history: key(
    wholeNumber(100, 1_000_000).optional(),
    'number',
    'How many past events are kept to be sent again; unset means 10000 where webhooks are configured, else none',
  ),
})
