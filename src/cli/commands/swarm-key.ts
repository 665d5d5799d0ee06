import type { Command } from 'commander'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'

export function addSwarmKeyCommand(program: Command, context: CliContext): void {
  program
    .command('swarm-key')
    .description('Make the key of a private swarm, which kubo reads too, and print it or write it to a file')
    .argument('[directory]', 'write it to the file swarm.key in this directory; a key that is there stays')
    .option('--json', 'print JSON')
    .action(async (directory: string | undefined, flags: { json?: true }) => {
      const { createSwarmKey } = await import('../../appliance/create-swarm-key.ts')
      const made = await createSwarmKey(directory)
      printResult(context, flags, directory === undefined ? { key: made } : { file: made }, `${made}\n`)
    })
}
