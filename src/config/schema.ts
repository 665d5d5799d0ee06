/*
 * src/config: the configuration of the server
 *
 *   schema.ts          the one description of it: keys, types, defaults, ranges and what each is for: begin here
 *   sections, limits   its sections; upstreams, webhooks, policies, only-signed: lists with more; values and keys: what
 *                      keys are made of; contradictions: problems between two keys
 *   load.ts            reads it: file, then environment, then flags, and reports all problems at once
 *   file, environment, entries, units, closest     what load.ts reads, and how
 *
 * May import nothing else of src. Flags, environment variables, their help texts, docs/configuration.md and the checks
 * of config/ipdr.yml are derived from the schema; nothing but load.ts reads the environment.
 */
import { z } from 'zod'
import { contradictions } from './contradictions.ts'
import { keysOf, treeOf, type ConfigKey, type KeyTree } from './key-tree.ts'
import { addresses, choice, key } from './keys.ts'
import { limits } from './limits.ts'
import { onlySigned } from './only-signed.ts'
import { deprecated, immutableTags, quotas, retention, retentionInterval } from './policies.ts'
import { access, admin, cache, fsck, gc, history, log, names, p2p, storage, tls } from './sections.ts'
import { registryMirror, upstreams } from './upstreams.ts'
import { events, webhooks } from './webhooks.ts'
import {
  browserHost,
  gatewayUrl,
  hostAddress,
  hostText,
  networks,
  pathText,
  port,
  resolver,
  yesOrNo,
} from './values.ts'

const objectSchema = z.strictObject({
  host: key(hostText.default('0.0.0.0'), 'text', 'Address the registry listens on'),
  port: key(port.default(5000), 'number', 'Port the registry listens on; 0 takes any free one'),
  hosts: addresses(
    browserHost,
    'Host names for browsers, beside IP addresses, localhost, names without a dot and those of the certificate',
  ),
  dataDir: key(
    pathText.default('./data'),
    'path',
    'Directory that holds blocks, index and the identity of the IPFS node',
  ),
  network: choice(networks, 'public', 'Who may reach the IPFS node'),
  readOnly: key(
    yesOrNo.default(false),
    'boolean',
    'Whether each start begins read-only: pulls go on, pushes and deletes are refused; see ipdr read-only',
  ),
  ui: key(yesOrNo.default(true), 'boolean', 'Whether browsers get pages at /, under the rules of the registry'),
  missingBlobs: choice(
    ['refuse', 'accept'] as const,
    'refuse',
    'Whether to accept an image manifest whose blobs are missing',
  ),
  ipfsHost: key(
    hostAddress.optional(),
    'text',
    'RPC API of another kubo that also pins what is pushed here: host:port, URL or multiaddr',
  ),
  ipfsGateways: addresses(
    gatewayUrl,
    'URLs of trustless gateways, asked for blocks that no peer delivers',
    'ipfs-gateway',
  ),
  cidResolvers: addresses(
    resolver,
    'Where to look up tags that are not in this registry: file:<directory>, /ipfs/<cid>, /ipns/<name> or a domain',
    'cid-resolver',
  ),
  cidStore: key(
    pathText.optional(),
    'path',
    'Directory that holds the CID of every tag as <repository>/<tag>; unset means cids in the data directory',
  ),
  upstreams,
  registryMirror,
  webhooks,
  retention,
  retentionInterval,
  immutableTags,
  quotas,
  deprecated,
  onlySigned,
  names,
  p2p,
  tls,
  storage,
  gc,
  history,
  fsck,
  cache,
  access,
  events,
  admin,
  log,
  limits,
})

export const configSchema = objectSchema.superRefine(
  (value, context) => {
    for (const { message, path, other } of contradictions(value)) {
      context.addIssue({ code: 'custom', message, path, params: { other } })
    }
  },
  { when: () => true },
)

type DeepReadonly<T> = T extends (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T

/** Complete and checked; durations are seconds, sizes bytes */
export type Config = DeepReadonly<z.output<typeof configSchema>>

export const defaultConfig: Config = deepFreeze(configSchema.parse({}))

export const keyTree: KeyTree = treeOf(objectSchema.shape, defaultConfig, [])
export const configKeys: readonly ConfigKey[] = [...keysOf(keyTree)]

export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze)
    Object.freeze(value)
  }
  return value
}
