import { Argument, InvalidArgumentError, type Command } from 'commander'
import { engines, type Engine, type FileChange } from '../../client/mirrors/engines.ts'
import { repeated } from '../flags/option-values.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'

interface MirrorFlags {
  upstream?: string[]
  mirror: URL
  root: string
  dryRun?: true
  json?: true
}

export function addMirrorSetupCommand(group: Command, context: CliContext): void {
  addFlags(group.command('setup'))
    .description(
      'Have a container engine of this machine pull through this registry, before it asks the registry itself',
    )
    .action(async (engine: Engine, flags: MirrorFlags) => {
      await change(engine, flags, false, context)
    })
}

export function addMirrorUndoCommand(group: Command, context: CliContext): void {
  addFlags(group.command('undo'))
    .description('Take out what ipdr mirror setup has written')
    .action(async (engine: Engine, flags: MirrorFlags) => {
      await change(engine, flags, true, context)
    })
}

function addFlags(command: Command): Command {
  return command
    .addArgument(new Argument('<engine>', 'whose files').choices(engines))
    .option('--upstream <host>', 'registry to be mirrored (repeatable; default: docker.io)', upstreamHost)
    .option('--mirror <url>', 'this registry, as the engine reaches it', mirrorUrl, new URL('http://localhost:5000'))
    .option('--root <directory>', 'root of the system whose files are meant', '/')
    .option('--dry-run', 'print the files as they would be, and change nothing')
    .option('--json', 'print JSON')
}

async function change(engine: Engine, flags: MirrorFlags, undo: boolean, context: CliContext): Promise<void> {
  const { applyChanges, planMirror } = await import('../../client/mirrors/mirror-setup.ts')
  const { dryRun, mirror, root, upstream: upstreams = ['docker.io'] } = flags
  const { files, notes } = await planMirror(engine, root, { mirror, upstreams, undo })
  if (dryRun !== true) {
    await applyChanges(files, root)
  }
  const result = { dryRun: dryRun === true, files: files.map(({ path, after }) => ({ path, content: after })), notes }
  printResult(context, flags, result, files.map(dryRun === true ? preview : report).join(''))
  if (flags.json === true) {
    return
  }
  if (files.length === 0) {
    context.stderr.write(line`Nothing to change`)
  }
  notes.forEach(note => context.stderr.write(line`${note}`))
}

function report({ path, after }: FileChange): string {
  return line`${after === undefined ? 'deleted' : 'wrote'} ${path}`
}

function preview({ path, after }: FileChange): string {
  return after === undefined ? line`${path} would be deleted` : `${line`${path} would be:`}${after}`
}

function upstreamHost(text: string, earlier?: readonly string[]): string[] {
  if (!/^[a-z0-9]+([.-][a-z0-9]+)*(:\d{1,5})?$/.test(text)) {
    throw new InvalidArgumentError('It must be the host of a registry, such as docker.io or registry.local:5000.')
  }
  return repeated(text, earlier)
}

function mirrorUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol) || `${url.origin}/` !== url.href) {
    throw new InvalidArgumentError('It must be a URL with http:// or https:// and without a path.')
  }
  return url
}
