import { isDeepStrictEqual } from 'node:util'
import { ClientError } from '../../remote/errors.ts'
import type { Changes, EngineFiles, FileChange, MirrorInit } from './engines.ts'
import { parseToml } from './toml.ts'

const directory = '/etc/containerd/certs.d'
const begin = '# begin: written by ipdr mirror setup'
const end = '# end: written by ipdr mirror setup'

/** @see https://github.com/containerd/containerd/blob/main/docs/hosts.md */
export async function containerdChanges(files: EngineFiles, init: MirrorInit): Promise<Changes> {
  return {
    files: await hostsFiles(files, directory, init),
    notes: init.undo
      ? []
      : [
          'containerd reads these files at each pull; nerdctl looks there by itself, ctr with --hosts-dir.',
          `Kubernetes needs config_path = "${directory}" in the section registry of /etc/containerd/config.toml.`,
        ],
  }
}

/** A `hosts.toml` for each upstream: containerd asks the mirror first, with `?ns=<upstream>`, and then the upstream */
export async function hostsFiles(
  files: EngineFiles,
  directory: string,
  { mirror, undo, upstreams }: MirrorInit,
): Promise<FileChange[]> {
  return await Promise.all(
    upstreams.map(async upstream => {
      const path = `${directory}/${upstream}/hosts.toml`
      const before = await files.read(path)
      const rest = withoutOurs(before ?? '')
      return { path, before, after: undo ? textOrNothing(rest, before) : withOurs(rest, mirror.origin, path) }
    }),
  )
}

/** Without what an earlier set-up has written */
function withoutOurs(text: string): string {
  const from = text.indexOf(begin)
  const to = text.indexOf(end, from)
  return from < 0 || to < 0 ? text : text.slice(0, from) + text.slice(to + end.length).replace(/^\n\n?/, '')
}

function textOrNothing(rest: string, before: string | undefined): string | undefined {
  return before === undefined || (rest !== before && rest.trim() === '') ? undefined : rest
}

/** @throws ClientError where the file would say something else than before, and our mirror first */
function withOurs(text: string, mirror: string, path: string): string {
  const theirs = parseToml(text, path)
  const hosts = theirs['host'] ?? {}
  if (typeof hosts !== 'object' || mirror in hosts) {
    throw new ClientError(`${path} names ${mirror} already, and is left as it is`)
  }
  // containerd asks the hosts in the order of the file; keys of the file itself have to stand before the first table
  const at = /^[ \t]*\[/m.exec(text)?.index ?? text.length
  const head = text.slice(0, at)
  const ours = [begin, `[host.${JSON.stringify(mirror)}]`, '  capabilities = ["pull", "resolve"]', end, ''].join('\n')
  const gap = head === '' || head.endsWith('\n') ? '' : '\n'
  const after = `${head}${gap}${ours}${at < text.length ? '\n' : ''}${text.slice(at)}`
  const expected = { ...theirs, host: { ...hosts, [mirror]: { capabilities: ['pull', 'resolve'] } } }
  if (!isDeepStrictEqual(plain(parseToml(after, path)), plain(expected))) {
    throw new ClientError(
      `${path} is written in a way that can't be added to, and is left as it is: add ${mirror} by hand`,
    )
  }
  return after
}

/** The parser makes objects without a prototype */
function plain(value: object): unknown {
  return JSON.parse(JSON.stringify(value))
}
