import { stringify } from 'smol-toml'
import { ClientError } from '../../remote/errors.ts'
import type { Changes, EngineFiles, MirrorInit } from './engines.ts'
import { parseToml } from './toml.ts'

const directory = '/etc/containers/registries.conf.d'
const mainFile = '/etc/containers/registries.conf'
/** The last of all that are read: where two files have the same registry, the later one counts */
const ourFile = '999-ipdr-mirror.conf'
const firstLine = '# Written by ipdr mirror setup, which replaces it; ipdr mirror undo deletes it'

type Registry = Record<string, unknown>

/**
 * Podman, buildah, skopeo and CRI-O. They ask a mirror by its own name of the repository, so the upstream is part of
 * it.
 *
 * @see https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
 */
export async function podmanChanges(files: EngineFiles, { mirror, undo, upstreams }: MirrorInit): Promise<Changes> {
  const path = `${directory}/${ourFile}`
  const before = await files.read(path)
  if (before !== undefined && !before.startsWith(firstLine)) {
    throw new ClientError(`${path} was not written by ipdr mirror setup, and is left as it is`)
  }
  if (undo) {
    return { files: [{ path, before, after: undefined }], notes: [] }
  }
  const theirs = await registriesOf(files)
  const registry = upstreams.map(upstream => withMirror(theirs.get(upstream), upstream, mirror))
  return { files: [{ path, before, after: `${firstLine}\n\n${stringify({ registry })}\n` }], notes: [] }
}

/** What other files say of each registry, by its prefix */
async function registriesOf(files: EngineFiles): Promise<Map<string, Registry>> {
  const names = (await files.list(directory)).filter(name => name.endsWith('.conf') && name !== ourFile)
  const found = new Map<string, Registry>()
  for (const path of [mainFile, ...names.map(name => `${directory}/${name}`)]) {
    const { registry } = parseToml((await files.read(path)) ?? '', path)
    for (const entry of Array.isArray(registry) ? (registry as Registry[]) : []) {
      found.set(String(entry['prefix'] ?? entry['location']), entry)
    }
  }
  return found
}

function withMirror(theirs: Registry | undefined, upstream: string, mirror: URL): Registry {
  const ours = {
    // no name of a repository has a colon
    location: `${mirror.host}/${upstream.replace(':', '_')}`,
    ...(mirror.protocol === 'http:' ? { insecure: true } : {}),
  }
  const { mirror: others = [], ...rest } = theirs ?? { prefix: upstream, location: upstream }
  return { ...rest, mirror: [ours, ...(Array.isArray(others) ? others : [])] }
}
