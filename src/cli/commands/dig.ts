import type { Command } from 'commander'
import { ClientError } from '../../remote/errors.ts'
import { addApplianceFlags, openAppliance, type ApplianceFlags } from '../flags/appliance-flags.ts'
import { trueOrFalse } from '../flags/option-values.ts'
import type { CliContext } from '../process/context.ts'
import { jsonLine, printable, printableLines } from '../output/printable.ts'
import { runCommand } from '../process/run-command.ts'

interface DigFlags extends ApplianceFlags {
  short: boolean
}

export function addDigCommand(program: Command, context: CliContext): void {
  addApplianceFlags(program.command('dig'))
    .description('Print the CID that a tag stands for, or the tags of a repository')
    .argument('<name>', '[host/]repository[:tag]')
    .option('--short [boolean]', '--short=false prints the manifest instead of the CID', trueOrFalse, true)
    .action(async (name: string, flags: DigFlags) => {
      await runCommand(context, async signal => {
        await dig(name, flags, context, signal)
      })
    })
}

async function dig(text: string, flags: DigFlags, context: CliContext, signal: AbortSignal): Promise<void> {
  const { parseTarget } = await import('../../client/registry/parse-target.ts')
  const { explicit, host, reference, repository } = parseTarget(text)
  const { appliance, registry } = await openAppliance(flags, context, { host })
  const query = explicit ? `${repository}:${reference.digest ?? reference.tag}` : repository
  const found = (await appliance.dig(query, flags.short, { signal }))?.trim()
  if (found === undefined || found === '') {
    throw new ClientError(`${registry.host} does not have ${query}`)
  }
  if (explicit && !flags.short) {
    requireJson(found, registry.host)
  }
  if (flags.json !== true || !flags.short) {
    // a list of tags and a manifest may have several lines, a CID has one
    context.stdout.write(`${explicit && flags.short ? printable(found) : printableLines(found)}\n`)
    return
  }
  const what = explicit ? { cid: found } : { tags: found.split('\n') }
  context.stdout.write(
    jsonLine({ name: repository, ...(explicit ? { tag: reference.digest ?? reference.tag } : {}), ...what }),
  )
}

/** A manifest is JSON: its line breaks are outside of strings, so they can be printed as they are */
function requireJson(text: string, host: string): void {
  try {
    JSON.parse(text)
  } catch (err) {
    throw new ClientError(`${host} did not answer with a manifest`, { cause: err })
  }
}
