import { Argument, type Command } from 'commander'
import type { CliContext } from '../process/context.ts'

/** A command, by its words such as `config verify`, and what can follow them */
interface Node {
  path: string
  description: string
  commands: Node[]
  options: { flag: string; description: string }[]
}

const scripts = { bash, zsh, fish }

export function addCompletionCommand(program: Command, { stdout }: CliContext): void {
  program
    .command('completion')
    .description('Print a script for a shell to complete commands and flags')
    .addArgument(new Argument('<shell>').choices(Object.keys(scripts)))
    .addHelpText('after', '\nFor bash: source <(ipdr completion bash)')
    .action((shell: keyof typeof scripts) => {
      stdout.write(scripts[shell](nodeOf(program, '')))
    })
}

function nodeOf(command: Command, path: string): Node {
  const help = command.createHelp()
  return {
    path,
    description: command.description(),
    commands: help
      .visibleCommands(command)
      .filter(child => child.name() !== 'help')
      .map(child => nodeOf(child, `${path} ${child.name()}`.trim())),
    options: help
      .visibleOptions(command)
      .filter(({ long }) => typeof long === 'string')
      .map(({ description, long }) => ({ flag: long!, description })),
  }
}

function all(node: Node): Node[] {
  return [node, ...node.commands.flatMap(all)]
}

function lastWord(path: string): string {
  return path.split(' ').at(-1)!
}

function bash(program: Node): string {
  const nodes = all(program)
  const steps = nodes.filter(({ path }) => path !== '').map(({ path }) => `      '${path}') path='${path}' ;;`)
  const words = nodes.map(({ commands, options, path }) => {
    const all = [...commands.map(child => lastWord(child.path)), ...options.map(({ flag }) => flag)]
    return `    '${path}') words='${all.join(' ')}' ;;`
  })
  return `_ipdr() {
  local path='' words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
${steps.join('\n')}
    esac
  done
  case "$path" in
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _ipdr ipdr
`
}

/** zsh runs the script for bash */
function zsh(program: Node): string {
  return `#compdef ipdr\nautoload -U +X bashcompinit && bashcompinit\n${bash(program)}`
}

function fish(program: Node): string {
  const lines = all(program).flatMap(({ commands, options, path }) => {
    const seen =
      path === ''
        ? '__fish_use_subcommand'
        : path
            .split(' ')
            .map(word => `__fish_seen_subcommand_from ${word}`)
            .join('; and ')
    return [
      ...commands.map(
        child => `complete -c ipdr -n ${quoted(seen)} -a ${lastWord(child.path)} -d ${quoted(child.description)}`,
      ),
      ...options.map(
        ({ description, flag }) => `complete -c ipdr -n ${quoted(seen)} -l ${flag.slice(2)} -d ${quoted(description)}`,
      ),
    ]
  })
  return `${lines.join('\n')}\n`
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
