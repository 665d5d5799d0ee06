import { type Command, Option } from 'commander'
import { toDockerFormat, toIpfsFormat } from '../../oci/cid.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'
import { UsageError } from '../process/errors.ts'

const formats = { docker: toDockerFormat, ipfs: toIpfsFormat }

export function addConvertCommand(program: Command, context: CliContext): void {
  program
    .command('convert')
    .description('Convert the CID of an image to the form that docker allows as a repository name, or to that of IPFS')
    .argument('<hash>', 'CID, /ipfs/<cid>, ciq... or IPNS name')
    .addOption(
      new Option('-f, --format <format>', 'what to convert to').choices(Object.keys(formats)).makeOptionMandatory(),
    )
    .option('--json', 'print JSON')
    .action((hash: string, { format, ...flags }: { format: keyof typeof formats; json?: true }) => {
      const converted = formats[format](hash)
      if (converted === undefined) {
        throw new UsageError(
          `"${hash.slice(0, 200)}" is neither a CID nor a hash in docker format (ciq...) nor an IPNS name`,
        )
      }
      printResult(context, flags, { hash, format, converted }, line`${converted}`)
    })
}
