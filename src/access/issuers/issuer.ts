/**
 * Others who say who somebody is, by tokens that they sign: providers of OpenID Connect, and what issues tokens to
 * workloads, such as GitHub Actions, GitLab CI and Kubernetes. They are in the file with the rules:
 *
 * ```yaml
 * issuers:
 *   github:
 *     issuer: https://token.actions.githubusercontent.com
 *     audience: registry.example.com
 *     userClaim: repository
 *     require: { repository_owner: example-org }
 *     groups:
 *       releases: { repository: 'example-org/*', ref: refs/heads/main }
 * ```
 *
 * People log in by a browser where an issuer has `login`, and are its users by the same claims (log-ins.ts):
 *
 * ```yaml
 *   corp:
 *     issuer: https://sso.example.com
 *     userClaim: email
 *     groupsClaim: groups
 *     login: { clientId: registry, clientSecretFile: corp-secret, scopes: [email] }
 * ```
 *
 * Whoever shows such a token is the user `github:<claim>`. A name of ours has no colon, so the two never meet. Anybody
 * can get a token of a public issuer, for any audience: so these users are not `authenticated`, and have what rules for
 * `user:github:<claim>`, `group:github:<group>` and `issuer:github` allow.
 */
import { z } from 'zod'
import { globMatcher } from '../../oci/globs.ts'

/** As the file has it; the key in `issuers` is its name */
export interface Issuer {
  /** Stands before the names of its users and groups, and a colon */
  name: string
  /** What `iss` of its tokens has to be; discovery looks below this URL */
  issuer: string
  /** One of them has to be in `aud` of a token that is shown here; where there is none, no token counts */
  audience: readonly string[]
  /** Where its public keys are: an http(s) URL or a file; undefined: discovery tells */
  jwks?: string | undefined
  /** The claim that names a user. @default sub */
  userClaim: string
  /** A claim with the names of groups, in a list or alone; undefined: there are none */
  groupsClaim?: string | undefined
  /** Groups, each with the claims that whoever is in it has */
  groups: Readonly<Record<string, ClaimPatterns>>
  /** Claims without which a token is none for here */
  require: ClaimPatterns
  /** How people log in by a browser; undefined: they do not */
  login?: LogInClient | undefined
}

/** This registry as a client of OpenID Connect */
export interface LogInClient {
  clientId: string
  /** Undefined for a client without a secret, of which PKCE alone keeps codes */
  clientSecretFile?: string | undefined
  /** That are asked for, beside `openid` */
  scopes: readonly string[]
}

/** Globs by the names of claims: `*` stands for anything without a slash, `**` for anything */
export type ClaimPatterns = Readonly<Record<string, readonly string[]>>

export type Claims = Readonly<Record<string, unknown>>

/** What may stand after the name of an issuer and a colon */
const foreignName = /^[^\s\p{Cc}]{1,220}$/u
const issuerName = /^[a-z0-9][a-z0-9-]{0,31}$/
/** They stand before a colon in the names of others who log in */
const reserved = ['key', 'cert']
const maxGroups = 200
/** `iss` of the tokens of this registry */
export const ownIssuer = 'ipdr'

const text = (max: number): z.ZodString =>
  z
    .string({ error: 'must be a text' })
    .regex(/^[^\s\p{Cc}]+$/u, { error: 'must not be empty or have blanks' })
    .max(max)
/** Values of claims may have blanks, such as the name of an environment */
const value = z.string().min(1).max(1000)
const oneOrMore = z
  .union([value, z.array(value).min(1)], { error: 'must be a text or a list of texts' })
  .transform(value => [value].flat())
const claimPatterns = z.record(text(200), oneOrMore, { error: 'must be a mapping of claims to patterns' })

/** Of the value of the key `issuers` */
export const issuersSchema = z
  .record(
    z.string(),
    z.strictObject(
      {
        issuer: text(1000),
        audience: oneOrMore.default([]),
        jwks: text(1000).optional(),
        userClaim: text(200).default('sub'),
        groupsClaim: text(200).optional(),
        groups: z.record(text(200), claimPatterns).default({}),
        require: claimPatterns.default({}),
        login: z
          .strictObject(
            {
              clientId: text(200),
              clientSecretFile: text(1000).optional(),
              scopes: z.array(text(200), { error: 'must be a list of scopes' }).default([]),
            },
            { error: 'must be a mapping with the key clientId' },
          )
          .optional(),
      },
      { error: 'must be an issuer with issuer and audience' },
    ),
    { error: 'must be a mapping of names to issuers' },
  )
  .default({})
  .superRefine((issuers, context) => {
    const seen = new Set<string>()
    for (const [name, { audience, issuer, jwks, login }] of Object.entries(issuers)) {
      if (!issuerName.test(name) || reserved.includes(name)) {
        const message = `must be a name of small letters, digits and dashes, but not ${reserved.join(' or ')}`
        context.addIssue({ code: 'custom', path: [name], message })
      }
      if (seen.has(issuer)) {
        context.addIssue({ code: 'custom', path: [name, 'issuer'], message: 'is that of another issuer already' })
      }
      if (issuer === ownIssuer) {
        context.addIssue({ code: 'custom', path: [name, 'issuer'], message: 'is this registry itself' })
      }
      if (jwks === undefined && !isHttpUrl(issuer)) {
        const message = 'must be a URL, unless jwks says where the keys are'
        context.addIssue({ code: 'custom', path: [name, 'issuer'], message })
      }
      if (audience.length === 0 && login === undefined) {
        const message = 'must be a text or a list of texts, unless there is a login'
        context.addIssue({ code: 'custom', path: [name, 'audience'], message })
      }
      if (login !== undefined && !isHttpUrl(issuer)) {
        context.addIssue({ code: 'custom', path: [name, 'issuer'], message: 'must be a URL where there is a login' })
      }
      seen.add(issuer)
    }
  })

export function isHttpUrl(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text)
}

/** The issuer that a name of a user, `github:example-org/app`, begins with */
export function issuerOfName(issuers: ReadonlyMap<string, Issuer>, name: string): Issuer | undefined {
  return issuers.get(name.slice(0, Math.max(0, name.indexOf(':'))))
}

/** Why a token is no log-in, for whoever shows it */
export class ForeignTokenError extends Error {
  override name = 'ForeignTokenError'
}

/**
 * Who has these claims, by the names that rules know
 *
 * @throws ForeignTokenError where a claim is missing, or is none that is required
 */
export function foreignUser(issuer: Issuer, claims: Claims): { name: string; groups: string[] } {
  const lacking = Object.entries(issuer.require).find(entry => !hasClaim(claims, entry))
  if (lacking !== undefined) {
    throw new ForeignTokenError(`its claim ${lacking[0]} is not what is required here`)
  }
  const name = claimOf(claims, issuer.userClaim)
  if (typeof name !== 'string' || !foreignName.test(name)) {
    throw new ForeignTokenError(`its claim ${issuer.userClaim} can't be the name of a user`)
  }
  const groups = [
    ...Object.entries(issuer.groups).flatMap(([group, patterns]) =>
      Object.entries(patterns).every(entry => hasClaim(claims, entry)) ? [group] : [],
    ),
    ...claimedGroups(issuer, claims),
  ]
  return { name: `${issuer.name}:${name}`, groups: groups.map(group => `${issuer.name}:${group}`) }
}

/** No token says itself that it is in a group which the file defines by claims */
function claimedGroups({ groups, groupsClaim }: Issuer, claims: Claims): string[] {
  const values = groupsClaim === undefined ? [] : [claimOf(claims, groupsClaim) ?? []].flat()
  return values
    .filter(value => typeof value === 'string' && foreignName.test(value) && !Object.hasOwn(groups, value))
    .slice(0, maxGroups) as string[]
}

function hasClaim(claims: Claims, [claim, patterns]: [string, readonly string[]]): boolean {
  const matches = globMatcher(patterns)
  return [claimOf(claims, claim) ?? []]
    .flat()
    .some(value => ['string', 'number', 'boolean'].includes(typeof value) && matches(String(value)))
}

/** `kubernetes.io/namespace` is the claim of this name, or else `namespace` in the claim `kubernetes.io` */
function claimOf(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) {
    return claims[path]
  }
  return path.split('/').reduce<unknown>((value, key) => {
    return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as Claims)[key] : undefined
  }, claims)
}
