import { z } from 'zod'
import { key } from './keys.ts'
import { unknownKeyOr } from './named-list.ts'
import { listOf } from './policies.ts'
import { glob, pathText, yesOrNo } from './values.ts'

/* Which images must be signed: `onlySigned`, see docs/policies.md */

const maxKeys = 16
const form =
  'must be REPOSITORIES=KEYFILE such as prod/**=/etc/ipdr/release.pub, or a mapping with repositories and keys'
const refused = ['pulls', 'tags'] as const

const rule = z.strictObject(
  {
    repositories: listOf(glob),
    keys: listOf(pathText).refine(paths => paths.length <= maxKeys, { error: `must be at most ${maxKeys}` }),
    refuse: z
      .array(z.enum(refused, { error: `must be ${refused.join(' or ')}` }), { error: 'must be a list' })
      .default((): ['pulls'] => ['pulls']),
    copies: yesOrNo.default(false),
  },
  { error: unknownKeyOr(form) },
)

export const onlySigned = key(
  z.array(z.preprocess(fromText, rule), { error: 'must be a list' }).default(() => []),
  'list',
  'Repositories whose images must be signed, such as prod/**=/etc/ipdr/release.pub, or a mapping: see docs/policies.md',
)

/** A text such as `prod/**=/etc/ipdr/release.pub+/etc/ipdr/security.pub` becomes a mapping */
function fromText(value: unknown): unknown {
  const [repositories, ...keys] = typeof value === 'string' ? value.split('=') : []
  return repositories === undefined || keys.length === 0
    ? value
    : { repositories: [repositories], keys: keys.join('=').split('+') }
}
