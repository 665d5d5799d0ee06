import type { Command } from 'commander'
import { addConfigFlags } from '../flags/config-flags.ts'
import { configOfServer } from '../flags/container-command.ts'
import { reloadAccess } from '../flags/reload-access.ts'
import { duration, repeated } from '../flags/option-values.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'

interface KeyCreateFlags {
  scope: string[]
  expires?: number
  owner?: string
  json?: true
}

export function addKeyCreateCommand(group: Command, context: CliContext): void {
  addConfigFlags(group.command('create'))
    .argument('<name>', 'name of the key, and the user name with which it logs in')
    .requiredOption(
      '--scope <scope>',
      'what it may do: a pattern of repositories, a colon and actions, such as team/**:pull,push (repeatable)',
      repeated,
    )
    .option('--expires <duration>', 'how long it is valid, such as 90d (default: until it is revoked)', duration)
    .option('--owner <user>', 'user whom to ask about it; the key stays valid when he is gone')
    .option('--json', 'print JSON')
    .description('Make an API key, which is shown only once; return once a server that runs has read it')
    .action(async (name: string, flags: KeyCreateFlags, command: Command) => {
      const { createKey } = await import('../../appliance/groups/api-keys.ts')
      const { scope: scopes, owner, expires: lifetime } = flags
      const config = await configOfServer(command, context)
      const { key, secret, hasRules } = await createKey({ name, scopes, owner, lifetime }, config)
      for (const note of notesOn(scopes, hasRules)) {
        context.stderr.write(line`${note}`)
      }
      context.stderr.write(line`This key is shown only now:`)
      printResult(context, flags, { ...key, secret }, line`${secret}`)
      await reloadAccess(config, context)
    })
}

function notesOn(scopes: readonly string[], hasRules: boolean): string[] {
  const fixed = scopes.filter(scope => /:(.*,)?push(,|$)/.test(scope) && !/:(.*,)?tag(,|$)/.test(scope))
  return [
    ...fixed.map(scope => `With ${scope} it sets new tags, but does not move tags that exist: that is the action tag.`),
    ...(hasRules
      ? []
      : ['There are no access rules yet, so nobody needs a key: "ipdr access init private" asks for one.']),
  ]
}
