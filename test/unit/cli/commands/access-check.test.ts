import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { htpasswd } from '../../../fixtures/access.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'
import { ipdr, type Result } from '../ipdr.ts'

const rules = `
rules:
  - { who: ['user:alice'], repositories: ['team/**'], actions: [pull, push] }
  - { who: ['user:alice'], repositories: ['team/**'], actions: [push], tags: ['v*'], effect: deny }
`

describe('ipdr access check', () => {
  let data: TemporaryDirectory
  before(async () => {
    data = await temporaryDirectory('access-check')
    await writeFile(join(data.path, 'access.yml'), rules)
    await writeFile(join(data.path, 'htpasswd'), htpasswd({ alice: 'x' }))
  })
  after(async () => {
    await data[Symbol.asyncDispose]()
  })

  const check = async (...args: string[]): Promise<Result> =>
    await ipdr(['access', 'check', ...args, '--data-dir', data.path])

  it('says yes or no, and why', async () => {
    const yes = 'yes: access.yml, line 3 allows alice to push team/app\n'
    assert.deepEqual(await check('alice', 'team/app', 'push'), { code: 0, out: yes, err: '' })
    const no = 'ipdr: no: access.yml, line 4 denies alice to push team/app:v1\n'
    assert.deepEqual(await check('alice', 'team/app:v1', 'push'), { code: 1, out: '', err: no })
  })

  it('says in a line what can not be asked', async () => {
    const noName = (name: string): string =>
      `${name} is no name of a repository, nor one with a tag, such as team/app:v1`
    for (const [user, name, message] of [
      ['alice', 'Team/app', noName('Team/app')],
      ['alice', 'team/app/', noName('team/app/')],
      ['alice', 'team/app:', noName('team/app:')],
      ['alice', 'team/app@sha256:0', noName('team/app@sha256:0')],
      ['bob', 'team/app', `there is no user bob in ${join(data.path, 'htpasswd')}`],
      ['key:ci', 'team/app', `there is no key ci in ${join(data.path, 'api-keys.json')}`],
      ['github:octo/app', 'team/app', `there is no issuer github in ${join(data.path, 'access.yml')}`],
    ] as const) {
      assert.deepEqual(await check(user, name, 'pull'), { code: 1, out: '', err: `ipdr: ${message}\n` })
    }
  })
})
