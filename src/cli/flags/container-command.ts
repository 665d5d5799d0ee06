import { realpathSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { addConfigFlags } from './config-flags.ts'
import { withCurrentFlag } from './renamed-flags.ts'

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
