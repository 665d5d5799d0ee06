import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { checkRules } from '../../../../src/appliance/doctor/check-rules.ts'
import type { Finding } from '../../../../src/appliance/doctor/finding.ts'
import { parseConfig } from '../../../../src/config/load.ts'
import { initAccess } from '../../../fixtures/access.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'

async function check(dataDir: string, access: Record<string, string> = {}): Promise<Finding[]> {
  return await checkRules(dataDir, parseConfig({ access }), recordingLog())
}

describe('the check of access rules', () => {
  it('warns of an open registry with the line that closes it', async () => {
    await using directory = await temporaryDirectory()
    const [open] = await check(directory.path)
    assert.deepEqual(
      [open!.outcome, open!.advice],
      ['warning', `ipdr access init private --data-dir ${directory.path}`],
    )
    await initAccess('private', directory.path)
    assert.deepEqual(await check(directory.path), [
      { check: 'access rules', outcome: 'ok', found: `${join(directory.path, 'access.yml')} is in force` },
    ])
  })

  it('tells where rules are wrong, and of a file that has to be there', async () => {
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'access.yml')
    await writeFile(file, 'rules:\n  - lots\n')
    const [wrong] = await check(directory.path)
    assert.deepEqual([wrong!.outcome, wrong!.found.replace(/:.*/s, '')], ['wrong', 'access.yml, line 2, column 5'])
    const [missing] = await check(directory.path, { file: join(directory.path, 'none.yml') })
    assert.deepEqual([missing!.outcome, /there is no such file/.test(missing!.found)], ['wrong', true])
  })

  it('tells of users that are configured but are not there, or not readable', async () => {
    await using directory = await temporaryDirectory()
    await initAccess('private', directory.path)
    const passwords = join(directory.path, 'users')
    const [, missing] = await check(directory.path, { htpasswd: passwords })
    assert.deepEqual([missing!.outcome, missing!.advice], ['wrong', `htpasswd -Bc ${passwords} NAME`])
    await mkdir(passwords)
    const [unreadable] = await check(directory.path, { htpasswd: passwords })
    assert.deepEqual([unreadable!.outcome, /^can't be read: EISDIR/.test(unreadable!.found)], ['wrong', true])
  })
})
