/**
 * The command line. `run` in this file parses it and calls one of commands/, which parse their options, make one call
 * of client/ or of the appliance, and print the result. Rooms, each of which may import those after it:
 *
 * ```
 * commands/   one file for each command
 * flags/      options that several commands have, their defaults, and how values are read
 * output/     everything that is printed: results, progress, tables, errors, all made printable
 * process/    the process around a command: streams, signals, exit codes, errors
 * ```
 *
 * May import appliance, client, config and oci. Nothing but src/main.ts imports this folder.
 */
import { Command, CommanderError } from 'commander'
import { addAccessCheckCommand } from './commands/access-check.ts'
import { addAccessInitCommand } from './commands/access-init.ts'
import { addBackupCommand } from './commands/backup.ts'
import { addCompletionCommand } from './commands/completion.ts'
import { addConfigShowCommand } from './commands/config-show.ts'
import { addConfigVerifyCommand } from './commands/config-verify.ts'
import { addConvertCommand } from './commands/convert.ts'
import { addDigCommand } from './commands/dig.ts'
import { addDoctorCommand } from './commands/doctor.ts'
import { addFsckCommand } from './commands/fsck.ts'
import { addGcCommand } from './commands/gc.ts'
import { addHealthcheckCommand } from './commands/healthcheck.ts'
import { addInspectCommand } from './commands/inspect.ts'
import { addLoginCommand } from './commands/login.ts'
import { addLogoutCommand } from './commands/logout.ts'
import { addKeyCreateCommand } from './commands/key-create.ts'
import { addKeyListCommand } from './commands/key-list.ts'
import { addKeyRevokeCommand } from './commands/key-revoke.ts'
import { addLsCommand } from './commands/ls.ts'
import { addMirrorSetupCommand, addMirrorUndoCommand } from './commands/mirror.ts'
import { addPeersCommand } from './commands/peers.ts'
import { addPrefetchCommand } from './commands/prefetch.ts'
import { addPublishCommand } from './commands/publish.ts'
import { addPullCommand } from './commands/pull.ts'
import { addPushCommand } from './commands/push.ts'
import { addReadOnlyCommand } from './commands/read-only.ts'
import { addResolveCommand } from './commands/resolve.ts'
import { addRestoreCommand } from './commands/restore.ts'
import { addServerCommand } from './commands/server.ts'
import { addSwarmKeyCommand } from './commands/swarm-key.ts'
import { addVersionCommand, ipdrVersion } from './commands/version.ts'
import { type CliContext, processContext } from './process/context.ts'
import { withCurrentFlag } from './flags/renamed-flags.ts'
import { printableContext } from './output/printable.ts'
import { reportError } from './output/report-error.ts'
import { CommandError, UsageError } from './process/errors.ts'

/** Runs a command line; prints what goes wrong and returns the exit code */
export async function run(args: readonly string[], context: CliContext = processContext()): Promise<number> {
  const program = createProgram(context)
  try {
    await program.parseAsync(args.map(withCurrentFlag), { from: 'user' })
    return 0
  } catch (err) {
    if (isHelp(err)) {
      return 0
    }
    reportError(err instanceof CommanderError ? usageErrorOf(err, program, args) : err, context.stderr)
    return err instanceof CommandError ? err.exitCode : 1
  }
}

function createProgram(context: CliContext): Command {
  const write = (text: string): void => {
    context.stdout.write(text)
  }
  const program = new Command('ipdr')
    .description('A container registry that is an IPFS node')
    .version(ipdrVersion(), '-V, --version', 'Print the version')
    .exitOverride()
    .showSuggestionAfterError()
    // `run` prints errors; for commander, showing the help of a command group is an error too
    .configureOutput({ writeOut: write, writeErr: write, outputError: () => {} })

  // a log has colours and progress stays on its line; the others have neither
  for (const add of [addServerCommand, addPushCommand, addPullCommand]) {
    add(program, context)
  }
  const plain = printableContext(context)
  const commands = [
    addLoginCommand,
    addLogoutCommand,
    addConvertCommand,
    addDigCommand,
    addLsCommand,
    addInspectCommand,
    addResolveCommand,
    addPeersCommand,
    addSwarmKeyCommand,
    addPublishCommand,
    addReadOnlyCommand,
    addPrefetchCommand,
    addGcCommand,
    addFsckCommand,
    addBackupCommand,
    addRestoreCommand,
    addHealthcheckCommand,
    addDoctorCommand,
  ]
  commands.forEach(add => add(program, plain))
  const config = program.command('config').description('Check or show the configuration')
  addConfigVerifyCommand(config, plain)
  addConfigShowCommand(config, plain)
  const access = program.command('access').description('Set up or check who may do what')
  addAccessInitCommand(access, plain)
  addAccessCheckCommand(access, plain)
  const keys = program.command('key').description('Make, list or revoke API keys, with which robots log in')
  addKeyCreateCommand(keys, plain)
  addKeyListCommand(keys, plain)
  addKeyRevokeCommand(keys, plain)
  const mirror = program.command('mirror').description('Have container engines pull through this registry')
  addMirrorSetupCommand(mirror, plain)
  addMirrorUndoCommand(mirror, plain)
  addCompletionCommand(program, plain)
  addVersionCommand(program, plain)
  return program
}

function isHelp(err: unknown): boolean {
  return (
    err instanceof CommanderError &&
    ['commander.help', 'commander.helpDisplayed', 'commander.version'].includes(err.code)
  )
}

function usageErrorOf(err: CommanderError, program: Command, args: readonly string[]): UsageError {
  const [, message, suggestion] = /^(?:error: )?(.*?)(?:\n(\(Did you mean [^\n]*\)))?$/s.exec(err.message)!
  const help = `Run 'ipdr ${[...commandNames(program, args), '--help'].join(' ')}' for help.`
  return new UsageError(message!, [suggestion, help].filter(Boolean).join(' '))
}

/** Of the command that the first arguments name, and of the groups that it is in */
function commandNames({ commands }: Command, [name, ...rest]: readonly string[]): string[] {
  const command = commands.find(candidate => candidate.name() === name)
  return command === undefined ? [] : [command.name(), ...commandNames(command, rest)]
}
