import { randomUUID, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { globMatcher } from '../../oci/globs.ts'
import { reasonOf } from '../../config/entries.ts'
import type { Config } from '../../config/schema.ts'
import type { Mirroring } from '../../registry/mirror/mirroring.ts'
import type { ListedUpstream, Upstreams } from '../../upstream/upstreams.ts'
import { StartError } from '../directory/start-error.ts'

export interface UpstreamInputs {
  Mirroring: typeof Mirroring
  Upstreams: typeof Upstreams
  listed: ListedUpstream[]
  /** By which this process names itself in `Via` */
  instance: string
}

const second = 1000

/**
 * Reads what the configuration says about other registries
 *
 * @returns undefined where it lists none: then nothing of src/upstream and src/registry/mirror is loaded
 * @throws StartError if a file can't be read, or holds no certificate
 */
export async function readUpstreams({ upstreams }: Config): Promise<UpstreamInputs | undefined> {
  if (upstreams.length === 0) {
    return undefined
  }
  const [{ Upstreams }, { Mirroring }] = await Promise.all([
    import('../../upstream/upstreams.ts'),
    import('../../registry/mirror/mirroring.ts'),
  ])
  return { Mirroring, Upstreams, listed: await Promise.all(upstreams.map(listedOf)), instance: `ipdr-${randomUUID()}` }
}

/**
 * Reads what the configuration says about one registry
 *
 * @throws StartError if a file can't be read, or holds no certificate
 */
export async function listedOf(upstream: Config['upstreams'][number]): Promise<ListedUpstream> {
  const { ca, credentialHelper, credentials, maxRate, platforms, repositories, tagTtl, ...rest } = upstream
  if (credentials !== undefined) {
    // its content may change, so it is read anew for each log-in
    await read(`log-in ${credentials} of upstream ${upstream.name}`, credentials)
  }
  return {
    ...rest,
    url: new URL(upstream.url),
    tagTtl: tagTtl * second,
    platforms: platforms.length === 0 ? undefined : platforms,
    mirrors: globMatcher(repositories),
    ca: ca === undefined ? undefined : await readAuthority(ca, upstream.name),
    credentials: { file: credentials, helper: credentialHelper },
    maxRate: maxRate === 0 ? Infinity : maxRate,
  }
}

async function readAuthority(path: string, upstream: string): Promise<string> {
  const what = `CA ${path} of upstream ${upstream}`
  const text = await read(what, path)
  try {
    return new X509Certificate(text) && text
  } catch (err) {
    throw new StartError(`${what} holds no certificate in PEM`, { cause: err })
  }
}

async function read(what: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (err) {
    throw new StartError(`${what} can't be read: ${reasonOf(err)}`, { cause: err })
  }
}
