/**
 * The command line. `run` in this file parses it and calls one of commands/, which parse their options, make one call
 * of client/ or of the appliance, and print the result. Rooms, each of which may import those after it:
 *
 * ```
 * commands/   one file for each command; all but `server` are added by other-commands.ts
 * flags/      options that several commands have, their defaults, and how values are read
 * output/     everything that is printed: results, progress, tables, errors, all made printable
 * process/    the process around a command: streams, signals, exit codes, errors
 * ```
 *
 * May import appliance, client, config and oci. Nothing but src/main.js imports this folder.
 */
import { Command, CommanderError } from 'commander'
import { addServerCommand } from './commands/server.ts'
import { ipdrVersion } from './commands/version.ts'
import { type CliContext, processContext } from './process/context.ts'
import { withCurrentFlag } from './flags/renamed-flags.ts'
import { reportError } from './output/report-error.ts'
import { CommandError, UsageError } from './process/errors.ts'

/** Runs a command line; prints what goes wrong and returns the exit code */
export async function run(args: readonly string[], context: CliContext = processContext()): Promise<number> {
  const program = await createProgram(context, args[0])
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

/** @param name of the command, if that comes first */
async function createProgram(context: CliContext, name: string | undefined): Promise<Command> {
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

  addServerCommand(program, context)
  // a server should be ready soon, and its help and errors speak of nothing else
  if (name !== 'server') {
    const { addOtherCommands } = await import('./other-commands.ts')
    addOtherCommands(program, context)
  }
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
