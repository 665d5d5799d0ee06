import { type Command, Option } from 'commander'
import { loadConfig, SYSTEM_FILE } from '../../config/load.ts'
import type { ConfigKey } from '../../config/key-tree.ts'
import { type Config, configKeys } from '../../config/schema.ts'
import type { CliContext } from '../process/context.ts'
import { repeated } from './option-values.ts'

const placeholders: Record<ConfigKey['kind'], string> = {
  text: '<value>',
  path: '<path>',
  number: '<number>',
  boolean: '[boolean]',
  list: '<value>',
  duration: '<duration>',
  size: '<size>',
}

const shortFlags: Record<string, string> = { port: '-p, ' }

const footer = `
Flags override the environment, which overrides the file. For --p2p-port the variable is IPDR_P2P_PORT, or
IPDR_P2P_PORT_FILE for a file that holds the value; the key in the file is p2p: { port: ... }.`

/** Adds a flag for every key of the configuration, and --config */
export function addConfigFlags(command: Command): Command {
  command.option('--config <file>', `YAML file with the configuration (or IPDR_CONFIG, or ${SYSTEM_FILE} if it exists)`)
  for (const key of configKeys) {
    command.addOption(optionOf(key))
  }
  return command.addHelpText('after', footer)
}

/**
 * The configuration that results from the flags of a command, the environment, the file and the defaults
 *
 * @throws ConfigError
 */
export function configOf(command: Command, { env }: CliContext): Config {
  const values = command.opts<Record<string, string | string[] | true | undefined>>()
  const flags = Object.fromEntries(
    configKeys.map(key => {
      const value = values[optionOf(key).attributeName()]
      return [key.path, value === true ? 'true' : value]
    }),
  )
  return loadConfig({
    flags,
    ...(env && { env }),
    ...(typeof values['config'] === 'string' && { file: values['config'] }),
  })
}

function optionOf(key: ConfigKey): Option {
  const option = new Option(`${shortFlags[key.path] ?? ''}${key.flag} ${placeholders[key.kind]}`, helpOf(key))
  // not commander's variadic option, which would take the arguments after it as further values
  return key.kind === 'list' ? option.argParser(repeated) : option
}

function helpOf(key: ConfigKey): string {
  const choices = key.choices === undefined ? '' : `: ${key.choices.join(', ')}`
  const more = key.kind === 'list' ? ' (repeatable)' : key.default === undefined ? '' : ` (default: ${defaultOf(key)})`
  return key.description + choices + more
}

function defaultOf({ default: initial, kind }: ConfigKey): string {
  return kind === 'duration'
    ? `${String(initial)}s`
    : kind === 'size'
      ? `${Number(initial) / 2 ** 20}MiB`
      : String(initial)
}
