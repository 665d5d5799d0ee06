import { realpathSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { type Config, configKeys } from '../../config/schema.ts'
import type { CliContext } from '../process/context.ts'
import { addConfigFlags, configOf } from './config-flags.ts'
import { withCurrentFlag } from './renamed-flags.ts'

const configFlags = new Set<string | undefined>(['--config', ...configKeys.map(({ flag }) => flag)])

/**
 * The configuration of the server that a command is about: what its own flags say, or without any in a container, what
 * the server there was started with
 */
export async function configOfServer(command: Command, context: CliContext): Promise<Config> {
  const isGiven = command.options.some(
    option => configFlags.has(option.long) && command.getOptionValueSource(option.attributeName()) === 'cli',
  )
  return configOf(isGiven ? command : await commandOfContainer(), context)
}

/**
 * The `server` command with the flags that the server of this container was started with; without any flags outside of
 * containers. The server is process 1 there, or an init is, whose command line then has that of the server at its end.
 */
export async function commandOfContainer(): Promise<Command> {
  const words = (await readFile('/proc/1/cmdline', 'utf8').catch(() => '')).split('\0').slice(0, -1)
  const start = words.findIndex((word, index) => word === 'server' && isThisProgram(words[index - 1]))
  const flags = start < 0 ? [] : words.slice(start + 1)
  return addConfigFlags(new Command()).exitOverride().parse(flags.map(withCurrentFlag), { from: 'user' })
}

function isThisProgram(path: string | undefined): boolean {
  try {
    return path !== undefined && realpathSync(path) === realpathSync(process.argv[1]!)
  } catch {
    return false
  }
}
