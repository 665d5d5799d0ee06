import type { Command } from 'commander'
import { addAccessCheckCommand } from './commands/access-check.ts'
import { addAccessInitCommand } from './commands/access-init.ts'
import { addBackupCommand } from './commands/backup.ts'
import { addCompletionCommand } from './commands/completion.ts'
import { addConfigShowCommand } from './commands/config-show.ts'
import { addConfigVerifyCommand } from './commands/config-verify.ts'
import { addConvertCommand } from './commands/convert.ts'
import { addDigCommand } from './commands/dig.ts'
import { addDoctorCommand } from './commands/doctor.ts'
import { addEventsCommand } from './commands/events.ts'
import { addFsckCommand } from './commands/fsck.ts'
import { addGcCommand } from './commands/gc.ts'
import { addHealthcheckCommand } from './commands/healthcheck.ts'
import { addHistoryCommand } from './commands/history.ts'
import { addInspectCommand } from './commands/inspect.ts'
import { addLoginCommand } from './commands/login.ts'
import { addLogoutCommand } from './commands/logout.ts'
import { addKeyCreateCommand } from './commands/key-create.ts'
import { addKeyListCommand } from './commands/key-list.ts'
import { addKeyRevokeCommand } from './commands/key-revoke.ts'
import { addLsCommand } from './commands/ls.ts'
import { addMirrorSetupCommand, addMirrorUndoCommand } from './commands/mirror.ts'
import { addPeersCommand } from './commands/peers.ts'
import { addPrefetchCommand } from './commands/prefetch.ts'
import { addPublishCommand } from './commands/publish.ts'
import { addPullCommand } from './commands/pull.ts'
import { addPushCommand } from './commands/push.ts'
import { addReadOnlyCommand } from './commands/read-only.ts'
import { addResolveCommand } from './commands/resolve.ts'
import { addRetentionCommand } from './commands/retention.ts'
import { addRestoreCommand } from './commands/restore.ts'
import { addSignaturesCommand } from './commands/signatures.ts'
import { addSwarmKeyCommand } from './commands/swarm-key.ts'
import { addDiffCommand, addUndoCommand } from './commands/undo.ts'
import { addVersionCommand } from './commands/version.ts'
import { printableContext } from './output/printable.ts'
import type { CliContext } from './process/context.ts'

/** Every command but `server` */
export function addOtherCommands(program: Command, context: CliContext): void {
  // progress stays on its line; the others have none
  for (const add of [addPushCommand, addPullCommand]) {
    add(program, context)
  }
  const plain = printableContext(context)
  const commands = [
    addLoginCommand,
    addLogoutCommand,
    addConvertCommand,
    addDigCommand,
    addLsCommand,
    addInspectCommand,
    addResolveCommand,
    addPeersCommand,
    addSwarmKeyCommand,
    addPublishCommand,
    addReadOnlyCommand,
    addEventsCommand,
    addHistoryCommand,
    addUndoCommand,
    addDiffCommand,
    addPrefetchCommand,
    addRetentionCommand,
    addSignaturesCommand,
    addGcCommand,
    addFsckCommand,
    addBackupCommand,
    addRestoreCommand,
    addHealthcheckCommand,
    addDoctorCommand,
  ]
  commands.forEach(add => add(program, plain))
  const config = program.command('config').description('Check or show the configuration')
  addConfigVerifyCommand(config, plain)
  addConfigShowCommand(config, plain)
  const access = program.command('access').description('Set up or check who may do what')
  addAccessInitCommand(access, plain)
  addAccessCheckCommand(access, plain)
  const keys = program.command('key').description('Make, list or revoke API keys, with which robots log in')
  addKeyCreateCommand(keys, plain)
  addKeyListCommand(keys, plain)
  addKeyRevokeCommand(keys, plain)
  const mirror = program.command('mirror').description('Have container engines pull through this registry')
  addMirrorSetupCommand(mirror, plain)
  addMirrorUndoCommand(mirror, plain)
  addCompletionCommand(program, plain)
  addVersionCommand(program, plain)
}
