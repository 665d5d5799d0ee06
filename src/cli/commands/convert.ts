import { type Command, Option } from 'commander'
import { toDockerFormat, toIpfsFormat } from '../../oci/cid.ts'
import type { CliContext } from '../process/context.ts'
import { UsageError } from '../process/errors.ts'

const formats = { docker: toDockerFormat, ipfs: toIpfsFormat }

export function addConvertCommand(program: Command, { stdout }: CliContext): void {
  program
    .command('convert')
    .description('Convert the CID of an image to the form that docker allows as a repository name, or to that of IPFS')
    .argument('<hash>', 'CID, /ipfs/<cid>, ciq... or IPNS name')
    .addOption(
      new Option('-f, --format <format>', 'what to convert to').choices(Object.keys(formats)).makeOptionMandatory(),
    )
    .action((hash: string, { format }: { format: keyof typeof formats }) => {
      const converted = formats[format](hash)
      if (converted === undefined) {
        throw new UsageError(
          `"${hash.slice(0, 200)}" is neither a CID nor a hash in docker format (ciq...) nor an IPNS name`,
        )
      }
      stdout.write(`${converted}\n`)
    })
}
