import { z } from 'zod'
import { amount, key, sizeOrOff, text, wholeNumber } from './keys.ts'
import { requireDistinct, toList, unknownKeyOr } from './named-list.ts'
import { parseDuration } from './units.ts'
import { glob, pathText } from './values.ts'

/* The other registries that are mirrored: `upstreams` and what it lists */

/** URLs of registries whose names lead elsewhere */
const knownUrls = new Map([['docker.io', 'https://registry-1.docker.io']])
const day = 86_400
/** A slower one could not be told from one that is dead */
const leastRate = 64 * 1024

/** The host that clients know it by, which becomes the first part of the names of its repositories here */
const upstreamName = text(
  /^(?=.{1,128}$)[a-z0-9]+([.-][a-z0-9]+)*(:\d{1,5})?$/,
  'must be the host of a registry such as docker.io or registry.example:5000, in lower case',
)
const upstreamUrl = z.string({ error: 'must be a URL' }).refine(isOrigin, {
  error: 'must be an http or https URL such as https://registry.example, without a path or a password',
})
const platform = text(
  /^([a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9._]+)?|all)$/,
  'must be a platform such as linux/amd64 or linux/arm64/v8, or all',
)
const imagePattern = text(
  /^[^\s,:@]{1,255}(:[^\s,:/@]{1,128}|@[a-z0-9]+:[0-9a-f]{64,128})?$/,
  'must be a repository with a tag or a glob of tags, such as library/node:22*',
)
const prefetch = z.strictObject(
  {
    names: z.array(imagePattern, { error: 'must be a list' }).min(1, { error: 'must not be empty' }),
    every: amount(parseDuration, 60, 20 * day, 'duration such as 1h, from 1m to 20d').default(3600),
  },
  { error: unknownKeyOr('must be a mapping with names and every') },
)
const form = 'must be NAME=URL, or a mapping with name and url'

const upstream = z
  .strictObject(
    {
      name: upstreamName,
      url: upstreamUrl.optional(),
      credentials: pathText.optional(),
      credentialHelper: text(/^[\w.-]+$/, 'must be the name of a helper, such as ecr-login').optional(),
      ca: pathText.optional(),
      repositories: z.array(glob, { error: 'must be a list' }).default(() => ['**']),
      platforms: z.array(platform, { error: 'must be a list' }).default(() => []),
      prefetch: prefetch.optional(),
      tagTtl: amount(parseDuration, 0, 365 * day, 'duration such as 1m').default(60),
      maxRate: amount(orAtLeast(leastRate), 0, 2 ** 53 - 1, 'size such as 50MiB, from 64KiB, or off').default(0),
      maxRequests: wholeNumber(1, 1000).default(32),
    },
    { error: unknownKeyOr(form) },
  )
  .refine(({ credentialHelper, credentials }) => credentialHelper === undefined || credentials === undefined, {
    path: ['credentialHelper'],
    error: 'must not be set beside credentials',
  })
  .transform(listed => ({ ...listed, url: listed.url ?? knownUrls.get(listed.name) ?? `https://${listed.name}` }))

export const upstreams = key(
  z
    .preprocess(
      toList,
      z.array(upstream, { error: 'must be a list or a mapping of names' }).superRefine(requireDistinct),
    )
    .default(() => []),
  'list',
  'Other registries to mirror, each NAME=URL, or a mapping with more: see docs/mirrors.md',
  { flag: 'upstream' },
)

export const registryMirror = key(
  upstreamName.optional(),
  'text',
  'The upstream that clients mean who ask for a repository that is not here, as registry-mirrors of docker do',
)

function isOrigin(value: string): boolean {
  const url = URL.parse(value)
  return url !== null && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`
}

function orAtLeast(least: number): (value: unknown) => number | undefined {
  return value => {
    const bytes = sizeOrOff(value)
    return bytes !== undefined && bytes > 0 && bytes < least ? undefined : bytes
  }
}
