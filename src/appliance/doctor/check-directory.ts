import { stat } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { join } from 'node:path'
import { checkDataDirectory } from '../directory/data-directory.ts'
import { describeOthers, isOpenToOthers } from '../directory/file-modes.ts'
import { StartError } from '../directory/start-error.ts'
import { holderOf } from './holder.ts'
import { type Finding, ok, warning, wrong } from './finding.ts'

/** What a server makes in there, all of which it has to be able to change */
const parts = ['index', 'blocks', 'datastore', 'cids', 'access.yml', 'htpasswd', 'token-keys.json', 'api-keys.json']
const check = 'data directory'
const secretsAdvice = 'It holds keys: take the permissions of others away with chmod -R go='

/**
 * Looks at the data directory and changes nothing there
 *
 * @param isServed whether a server runs on it, which then has checked more of it than this
 */
export async function checkDirectory(dataDir: string, isServed: boolean): Promise<Finding[]> {
  const isNew = isServed ? false : await usable(dataDir)
  if (typeof isNew === 'object') {
    return [isNew]
  }
  const stats = await stat(dataDir).catch(() => undefined)
  if (stats === undefined) {
    return [ok(check, `${dataDir} is not there yet: the first start makes it`)]
  }
  const holder = isServed ? undefined : await holderOf(dataDir)
  const findings = [
    ...(holder === undefined ? [] : [heldBy(holder, dataDir)]),
    ...(await strangers(dataDir, stats)),
    ...openToOthers(dataDir, stats),
  ]
  const state = isServed ? 'is in use by the server' : isNew ? 'is empty' : 'can be used'
  return findings.length > 0 ? findings : [ok(check, `${dataDir} ${state}${ownerOf(stats)}`)]
}

/** @returns whether it is new, or why it can't be used */
async function usable(dataDir: string): Promise<boolean | Finding> {
  try {
    return (await checkDataDirectory(dataDir)).isNew
  } catch (err) {
    if (err instanceof StartError) {
      return wrong(check, err.message, 'Correct that, or name another directory with --data-dir or dataDir.')
    }
    throw err
  }
}

function heldBy(holder: number, dataDir: string): Finding {
  return wrong(
    check,
    `process ${holder} has ${dataDir} open, but answers no administration`,
    'It starts, stops or hangs: look at its log, and stop it before another server is started.',
  )
}

/** Files of another user, left by a command that somebody else ran, which the server can't change */
async function strangers(dataDir: string, { uid }: Stats): Promise<Finding[]> {
  const found = await Promise.all(
    parts.map(async name => ({ name, uid: (await stat(join(dataDir, name)).catch(() => undefined))?.uid ?? uid })),
  )
  const others = found.filter(part => part.uid !== uid).map(part => `${part.name} to user ${part.uid}`)
  return others.length === 0
    ? []
    : [
        warning(
          check,
          `${dataDir} belongs to user ${uid}, but ${others.join(', ')}`,
          `If the server runs as user ${uid}: chown -R ${uid} ${dataDir}`,
        ),
      ]
}

function openToOthers(dataDir: string, stats: Stats): Finding[] {
  return process.platform === 'win32' || !isOpenToOthers(stats)
    ? []
    : [warning(check, `${dataDir} is open to others (${describeOthers(stats)})`, `${secretsAdvice} ${dataDir}`)]
}

function ownerOf({ uid }: Stats): string {
  const user = process.getuid?.()
  return user === undefined || user === uid ? '' : `; it belongs to user ${uid}, and this is user ${user}`
}
