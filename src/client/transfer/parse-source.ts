import { stat } from 'node:fs/promises'
import { parseImageName, type ImageName } from '../../oci/image-name.ts'
import { ClientError } from '../../remote/errors.ts'

/** What `ipdr push --from` names */
export type SourceName =
  | { kind: 'engine'; image: string }
  | { kind: 'layout' | 'archive'; path: string; tag: string | undefined }
  | { kind: 'registry'; host: string; name: ImageName }

const dockerHub = 'registry-1.docker.io'

/**
 * Reads the value of `--from`: `docker://<image>`, `docker-daemon:<image>`, `oci:<path>[:<tag>]`,
 * `oci-archive:<path>[:<tag>]`, `docker-archive:<path>`, the path of a directory or file, or the name of an image in a
 * registry
 *
 * @throws ClientError, OciError
 */
export async function parseSource(text: string): Promise<SourceName> {
  const [, transport, rest = ''] =
    /^(docker:\/\/|docker-daemon:|oci:|oci-archive:|docker-archive:)(.+)$/s.exec(text) ?? []
  switch (transport) {
    case undefined:
      return await parseBare(text)
    case 'docker://':
      return registry(rest)
    case 'docker-daemon:':
      return { kind: 'engine', image: rest }
    default: {
      const [, path = rest, tag] = (await exists(rest)) ? [] : (/^(.*):([\w][\w.-]*)$/s.exec(rest) ?? [])
      if (!(await exists(path))) {
        throw new ClientError(`${path} does not exist`)
      }
      return { kind: transport === 'oci:' ? 'layout' : 'archive', path, tag }
    }
  }
}

async function parseBare(text: string): Promise<SourceName> {
  const found = await exists(text)
  if (found !== undefined) {
    return { kind: found, path: text, tag: undefined }
  }
  if (/^[./~]|\.tar$/.test(text)) {
    throw new ClientError(`${text} does not exist`)
  }
  return registry(text)
}

async function exists(path: string): Promise<'layout' | 'archive' | undefined> {
  try {
    return (await stat(path)).isDirectory() ? 'layout' : 'archive'
  } catch {
    return undefined
  }
}

/** As in docker, a name without a host is on Docker Hub, and there without a slash in `library/` */
function registry(text: string): SourceName {
  const name = parseImageName(text)
  const host = name.host === undefined || ['docker.io', 'index.docker.io'].includes(name.host) ? dockerHub : name.host
  const repository =
    host === dockerHub && !name.repository.includes('/') ? `library/${name.repository}` : name.repository
  return { kind: 'registry', host, name: { ...name, repository } }
}
