import type { Command } from 'commander'
import type { CliContext } from '../process/context.ts'

export function addSwarmKeyCommand(program: Command, { stdout }: CliContext): void {
  program
    .command('swarm-key')
    .description('Make the key of a private swarm, which kubo reads too, and print it or write it to a file')
    .argument('[directory]', 'write it to the file swarm.key in this directory; a key that is there stays')
    .action(async (directory: string | undefined) => {
      const { createSwarmKey } = await import('../../appliance/create-swarm-key.ts')
      stdout.write(`${await createSwarmKey(directory)}\n`)
    })
}
