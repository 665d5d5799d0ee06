import { ClientError } from '../../remote/errors.ts'
import { hostsFiles } from './containerd.ts'
import type { Changes, EngineFiles, FileChange, MirrorInit } from './engines.ts'

const daemonFile = '/etc/docker/daemon.json'
const key = 'registry-mirrors'

/**
 * With its own store, the Docker Engine mirrors Docker Hub alone, by `registry-mirrors`, and does not say for whom it
 * asks. With the containerd store it reads the files that containerd does.
 *
 * @see https://docs.docker.com/docker-hub/image-library/mirror/
 */
export async function dockerChanges(files: EngineFiles, init: MirrorInit): Promise<Changes> {
  const hub = init.upstreams.includes('docker.io')
  return {
    files: [
      ...(hub ? [await daemonChange(files, init)] : []),
      ...(await hostsFiles(files, '/etc/docker/certs.d', init)),
    ],
    notes: [
      'Restart the Docker Engine: it reads its configuration when it starts.',
      ...(hub && !init.undo
        ? ['The Engine does not say that it asks for Docker Hub: start ipdr with --registry-mirror docker.io.']
        : []),
      ...(init.undo || init.upstreams.every(upstream => upstream === 'docker.io')
        ? []
        : ['Other registries than Docker Hub are mirrored only where the Engine has the containerd image store.']),
    ],
  }
}

async function daemonChange(
  files: EngineFiles,
  { mirror, undo }: Pick<MirrorInit, 'mirror' | 'undo'>,
): Promise<FileChange> {
  const before = await files.read(daemonFile)
  const config = parseDaemon(before)
  const mirrors = config[key] ?? []
  if (!Array.isArray(mirrors)) {
    throw new ClientError(`${key} in ${daemonFile} is not a list, and is left as it is`)
  }
  // docker writes a URL with a slash at its end, people often without
  const others = mirrors.filter(other => typeof other !== 'string' || other.replace(/\/$/, '') !== mirror.origin)
  if (undo) {
    return { path: daemonFile, before, after: others.length === mirrors.length ? before : without(config, others) }
  }
  const isThere = others.length < mirrors.length
  return {
    path: daemonFile,
    before,
    after: isThere ? before : print({ ...config, [key]: [mirror.origin, ...mirrors] }),
  }
}

function without({ [key]: _, ...config }: Record<string, unknown>, others: unknown[]): string | undefined {
  const rest = others.length === 0 ? config : { ...config, [key]: others }
  return Object.keys(rest).length === 0 ? undefined : print(rest)
}

function parseDaemon(text: string | undefined): Record<string, unknown> {
  let config: unknown
  try {
    config = JSON.parse(text === undefined || text.trim() === '' ? '{}' : text)
  } catch (err) {
    throw new ClientError(`${daemonFile} is not JSON, and is left as it is`, { cause: err })
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new ClientError(`${daemonFile} is not an object of settings, and is left as it is`)
  }
  return { ...config }
}

function print(config: object): string {
  return `${JSON.stringify(config, undefined, 2)}\n`
}
