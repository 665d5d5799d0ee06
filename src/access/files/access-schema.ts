import { z } from 'zod'
import { actions } from '../rules/actions.ts'
import { issuersSchema } from '../issuers/issuer.ts'
import { parseNetwork } from '../rules/networks.ts'
import { publicKeyPattern } from './peer-certificate.ts'

/* What may stand in the file with the rules, see access-file.ts */

/** A name may be none that ends a field of htpasswd or of Basic authentication */
export const userName = /^[^\s:\p{Cc}]{1,255}$/u
/** Globs of repositories and tags */
export const repositoryPattern = /^[A-Za-z0-9._*?{},[\]!/:+-]{1,512}$/
/** Of users and groups that an issuer tells of, such as `github:example-org/app` */
const foreignName = /^([a-z0-9][a-z0-9-]{0,31}):[^\s\p{Cc}]{1,220}$/u
/** Of clients that are known by a certificate, in groups and rules */
const certificateName = /^cert:[^\s\p{Cc}]{1,200}$/u
const simpleSubject = /^(anonymous|authenticated|swarm|trusted|peer:[A-Za-z0-9]{1,128}|key:[A-Za-z0-9._-]{1,128})$/

const subject = z.string({ error: 'must be a text such as user:alice' }).refine(isSubject, {
  error:
    'must be anonymous, authenticated, swarm, trusted, user:<name>, group:<name>, issuer:<name>, key:<name>, ' +
    'cert:<name>, peer:<id> or network:<address>[/<bits>]',
})
const pattern = z
  .string({ error: 'must be a pattern such as team/**' })
  .regex(repositoryPattern, { error: 'must be a pattern such as team/**' })
const member = z
  .string({ error: 'must be a user name' })
  .refine(isName, { error: 'must be a user name, or <issuer>:<name>' })

function list<T extends z.ZodType>(item: T): z.ZodArray<T> {
  return z.array(item, { error: 'must be a list' }).min(1, { error: 'must not be empty' })
}

const rule = z
  .strictObject(
    {
      who: list(subject),
      repositories: list(pattern),
      actions: list(z.enum(actions, { error: `must be one of ${actions.join(', ')}` })),
      tags: list(pattern).optional(),
      effect: z.enum(['allow', 'deny'], { error: 'must be allow or deny' }).default('allow'),
    },
    { error: 'must be a rule with who, repositories and actions' },
  )
  .superRefine(({ who, effect }, context) => {
    const index = effect === 'deny' ? -1 : who.findIndex(name => name.startsWith('key:'))
    if (index >= 0) {
      const message = 'a key may do what its scopes say: a rule can only deny it something'
      context.addIssue({ code: 'custom', path: ['who', index], message })
    }
  })

const trust = z.strictObject(
  {
    keys: list(
      z
        .string({ error: 'must be the public key of an operator' })
        .regex(publicKeyPattern, { error: 'must be the public key of an operator, such as ed25519:...' }),
    ),
    revoked: z
      .array(
        z
          .string({ error: 'must be a peer id, or the id of a certificate' })
          .regex(/^[A-Za-z0-9-]{1,128}$/, { error: 'must be a peer id, or the id of a certificate' }),
        { error: 'must be a list' },
      )
      .default([]),
  },
  { error: 'must be a mapping with the key keys' },
)

export const accessFileSchema = z
  .strictObject(
    {
      groups: z
        .record(z.string().regex(userName, { error: 'must be a name without blanks and colons' }), list(member), {
          error: 'must be a mapping of groups to lists of users',
        })
        .default({}),
      issuers: issuersSchema,
      trust: trust.optional(),
      rules: z.array(rule, { error: 'must be a list of rules' }),
    },
    { error: 'must be a mapping with the key rules' },
  )
  .superRefine(({ groups, issuers, rules }, context) => {
    const requireIssuer = (issuer: string | undefined, path: (string | number)[]): void => {
      if (issuer !== undefined && !Object.hasOwn(issuers, issuer)) {
        const message = `must be a user name: ${issuer}, before the colon, is no issuer of this file`
        context.addIssue({ code: 'custom', path, message })
      }
    }
    for (const [group, members] of Object.entries(groups)) {
      members.forEach((name, i) => {
        requireIssuer(/^(?!cert:)([^:]*):/.exec(name)?.[1], ['groups', group, i])
      })
    }
    rules.forEach(({ who }, i) => {
      who.forEach((name, j) => {
        const [, ofName, issuer] = /^(?:(?:user|group):([^:]*):|issuer:(.*)$)/.exec(name) ?? []
        requireIssuer(ofName ?? issuer, ['rules', i, 'who', j])
      })
    })
  })

function isSubject(text: string): boolean {
  const [, kind, name = ''] = /^(user|group|issuer|network):(.*)$/s.exec(text) ?? []
  switch (kind) {
    case undefined:
      return simpleSubject.test(text) || certificateName.test(text)
    case 'network':
      return isNetwork(name)
    case 'issuer':
      return /^[a-z0-9-]{1,32}$/.test(name)
    default:
      return isName(name)
  }
}

function isName(text: string): boolean {
  return userName.test(text) || foreignName.test(text)
}

function isNetwork(text: string): boolean {
  try {
    parseNetwork(text)
    return true
  } catch {
    return false
  }
}
