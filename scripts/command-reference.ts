/**
 * Writes docs/command-reference.md from the program's own help: `npm run docs`. A test compares the page with the
 * program.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, type Option } from 'commander'
import { addServerCommand } from '../src/cli/commands/server.ts'
import { addOtherCommands } from '../src/cli/other-commands.ts'
import { processContext } from '../src/cli/process/context.ts'
import { tableOf } from './markdown-table.ts'

const page = join(import.meta.dirname, '../docs/command-reference.md')
/** An option of so many commands is described once */
const common = 5

const introduction = `# Command reference

Every command with its options, from the program's own help: \`ipdr COMMAND --help\` prints the same.
[Commands](commands.md) says what they are for. The options of \`ipdr server\` are the
[settings](configuration.md#reference).`

/** @returns docs/command-reference.md */
export function commandReference(): string {
  const program = new Command('ipdr')
  const context = processContext()
  addServerCommand(program, context)
  addOtherCommands(program, context)
  const settings = new Set(program.commands.find(command => command.name() === 'server')!.options.map(keyOf))
  const commands = program.commands
    .flatMap(leaves)
    .map(command => ({ command, ...optionsOf(command, settings) }))
    .sort((a, b) => pathOf(a.command).localeCompare(pathOf(b.command), 'en'))
  const shared = sharedOptions(commands.flatMap(({ options }) => options))
  const table = tableOf(['option', 'meaning'], [...shared.values()].map(rowOf))
  const sections = commands.map(entry => sectionOf(entry, shared))
  return `${[introduction, '## Options of many commands', table, ...sections].join('\n\n')}\n`
}

/** A command that does something, with those below it */
function leaves(command: Command): Command[] {
  const below = command.commands.flatMap(leaves)
  return command.commands.length > 0 && command.options.length === 0 ? below : [command, ...below]
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

/** Those that are no settings of the server, and whether the command takes these as well */
function optionsOf(command: Command, settings: ReadonlySet<string>): { options: Option[]; takesSettings: boolean } {
  const visible = command.options.filter(({ hidden }) => !hidden)
  const takesSettings = [...settings].every(key => visible.some(option => keyOf(option) === key))
  return { takesSettings, options: takesSettings ? visible.filter(option => !settings.has(keyOf(option))) : visible }
}

const keyOf = ({ description, flags }: Option): string => `${flags} ${description}`

function sharedOptions(all: readonly Option[]): Map<string, Option> {
  const isShared = (option: Option): boolean => all.filter(other => keyOf(other) === keyOf(option)).length >= common
  return new Map(all.filter(isShared).map(option => [keyOf(option), option]))
}

function sectionOf(
  { command, options, takesSettings }: { command: Command; options: Option[]; takesSettings: boolean },
  shared: ReadonlyMap<string, Option>,
): string {
  const own = options.filter(option => !shared.has(keyOf(option)))
  const others = options.filter(option => shared.has(keyOf(option))).map(({ long }) => `\`${long}\``)
  return [
    `## ${pathOf(command)}`,
    `${command.description()}.`,
    `\`${[pathOf(command.parent!), command.name(), command.usage()].join(' ')}\``,
    ...argumentsOf(command),
    ...(own.length === 0 ? [] : [tableOf(['option', 'meaning'], own.map(rowOf))]),
    ...(others.length === 0 ? [] : [`And [of many commands](#options-of-many-commands): ${others.join(', ')}.`]),
    ...(takesSettings ? ['And the [settings](configuration.md#reference) of the server.'] : []),
  ].join('\n\n')
}

function argumentsOf(command: Command): string[] {
  const described = command.registeredArguments.filter(({ description }) => description !== '')
  const rows = described.map(argument => [`\`${argument.name()}\``, argument.description])
  return rows.length === 0 ? [] : [tableOf(['argument', 'meaning'], rows)]
}

function rowOf({ argChoices, defaultValue, defaultValueDescription, description, flags }: Option): string[] {
  const value = defaultValueDescription ?? (typeof defaultValue === 'string' ? defaultValue : undefined)
  const notes = [
    ...(argChoices === undefined ? [] : [`one of ${argChoices.join(', ')}`]),
    ...(value === undefined ? [] : [`default: ${value}`]),
  ]
  return [`\`${flags}\``, notes.length === 0 ? description : `${description} (${notes.join('; ')})`]
}

if (import.meta.main) {
  writeFileSync(page, commandReference())
}
