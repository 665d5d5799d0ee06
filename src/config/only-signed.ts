import { z } from 'zod'
import { key, text } from './keys.ts'
import { unknownKeyOr } from './named-list.ts'
import { listOf } from './policies.ts'
import { glob, pathText, yesOrNo } from './values.ts'

/* Which images must be signed: `onlySigned`, see docs/policies.md */

const [maxFiles, maxIdentities] = [16, 100]
const form =
  'must be REPOSITORIES=KEYFILE such as prod/**=/etc/ipdr/release.pub, or a mapping with repositories and keys'
const refused = ['pulls', 'tags'] as const

const files = listOf(pathText)
  .refine(paths => paths.length <= maxFiles, { error: `must be at most ${maxFiles}` })
  .optional()
/** Types as Node.js names them, such as CN, O and emailAddress; a value has no comma, which parts them */
const identity = text(
  /^[A-Za-z]{1,32}=[^,]{1,200}(,\s*[A-Za-z]{1,32}=[^,]{1,200})*$/,
  'must be fields of the subject of a certificate, such as CN=release, O=Example',
)

const rule = z
  .strictObject(
    {
      repositories: listOf(glob),
      keys: files,
      authorities: files,
      identities: listOf(identity)
        .refine(given => given.length <= maxIdentities, { error: `must be at most ${maxIdentities}` })
        .optional(),
      refuse: z
        .array(z.enum(refused, { error: `must be ${refused.join(' or ')}` }), { error: 'must be a list' })
        .default((): ['pulls'] => ['pulls']),
      copies: yesOrNo.default(false),
    },
    { error: unknownKeyOr(form) },
  )
  .refine(({ authorities, keys }) => keys !== undefined || authorities !== undefined, {
    path: ['keys'],
    error: 'must be a list, unless the rule has authorities',
  })
  .refine(({ authorities, identities }) => identities === undefined || authorities !== undefined, {
    path: ['identities'],
    error: 'must not be set without authorities, as only certificates have a subject',
  })

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
