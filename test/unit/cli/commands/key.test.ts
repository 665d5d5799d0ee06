import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { AccessFiles } from '../../../../src/access/files/access-files.ts'
import { presetFile } from '../../../../src/access/rules/presets.ts'
import { htpasswd } from '../../../fixtures/access.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'
import { until } from '../../../fixtures/until.ts'
import { ipdr, type Result } from '../ipdr.ts'

async function key(directory: { path: string }, ...args: string[]): Promise<Result> {
  return await ipdr(['key', ...args, '--data-dir', directory.path])
}

describe('ipdr key', () => {
  it('creates, lists and revokes keys, whose secrets are kept nowhere', async () => {
    await using directory = await temporaryDirectory('keys')
    await writeFile(join(directory.path, 'htpasswd'), htpasswd({ alice: 'x' }))
    await writeFile(join(directory.path, 'format'), '1\n')
    const made = await key(directory, 'create', 'ci', '--scope', 'team/**:pull,push,tag', '--owner', 'alice')
    assert.equal(made.code, 0, made.err)
    assert.match(made.out, /^ipdr_[\w-]{43}\n$/)
    assert.match(made.err, /no access rules yet/)
    const file = join(directory.path, 'api-keys.json')
    assert.ok(!(await readFile(file, 'utf8')).includes(made.out.trim()))
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    const other = await key(directory, 'create', 'x', '--scope', 'a:push', '--scope', 'b:pull', '--expires', '90d')
    assert.match(other.err, /With a:push it sets new tags, but does not move tags that exist/)
    const { out } = await key(directory, 'list', '--json')
    const keys = JSON.parse(out) as { name: string; scopes: string[]; created: string; expires?: string }[]
    assert.deepEqual(
      keys.map(({ name, scopes }) => [name, scopes]),
      [
        ['ci', ['team/**:pull,push,tag']],
        ['x', ['a:push', 'b:pull']],
      ],
    )
    const { created, expires } = keys[1]!
    assert.equal(Date.parse(expires!) - Date.parse(created), 90 * 24 * 3600 * 1000)
    assert.match((await key(directory, 'list')).out, /^ci +alice +[\d-]{10} +never +team\/\*\*:pull,push,tag$/m)
    assert.equal((await key(directory, 'revoke', 'ci')).out, 'revoked ci\n')
    assert.deepEqual(JSON.parse((await key(directory, 'list', '--json')).out).length, 1)
  })

  it('refuses what makes no sense, and changes nothing then', async () => {
    await using directory = await temporaryDirectory('keys')
    await key(directory, 'create', 'ci', '--scope', 'a:pull')
    const before = await readFile(join(directory.path, 'api-keys.json'), 'utf8')
    for (const [args, message] of [
      [['create', 'ci', '--scope', 'a:pull'], /there is a key ci already/],
      [['create', 'a:b', '--scope', 'a:pull'], /can't be the name of a key/],
      [['create', 'x', '--scope', 'a:fly'], /scope a:fly: must end with actions out of/],
      [['create', 'x'], /required option '--scope/],
      [['create', 'x', '--scope', 'a:pull', '--owner', 'bob'], /there is no user bob/],
      [['create', 'x', '--scope', 'a:pull', '--expires', 'never'], /must be a duration/],
      [['create', 'x', '--scope', 'a:pull', '--expires', '0'], /a key has to be valid for at least a second\n$/],
      [
        ['create', 'x', '--scope', 'a:pull', '--expires', '100000000d'],
        /^ipdr: a key can be valid for at most 36500d\n$/,
      ],
      [['revoke', 'x'], /there is no key x/],
    ] as const) {
      const { code, err } = await key(directory, ...args)
      assert.equal(code, 1)
      assert.match(err, message)
    }
    assert.equal(await readFile(join(directory.path, 'api-keys.json'), 'utf8'), before)
  })

  it('loses none of several changes at once', async () => {
    await using directory = await temporaryDirectory('keys')
    await key(directory, 'create', 'first', '--scope', 'a:pull')
    const names = Array.from({ length: 8 }, (_, i) => `key-${i}`)
    await Promise.all([
      ...names.map(async name => await key(directory, 'create', name, '--scope', 'a:pull')),
      key(directory, 'revoke', 'first'),
    ])
    const keys = JSON.parse((await key(directory, 'list', '--json')).out) as { name: string }[]
    assert.deepEqual(keys.map(({ name }) => name).sort(), names)
  })

  it('is taken up by a server that runs', async () => {
    await using directory = await temporaryDirectory('keys')
    const [accessFile, passwordFile, keyFile] = ['access.yml', 'htpasswd', 'api-keys.json'].map(name =>
      join(directory.path, name),
    ) as [string, string, string]
    await writeFile(accessFile, presetFile('private'))
    await writeFile(join(directory.path, 'format'), '1\n')
    const files = new AccessFiles({ log: recordingLog() }, { accessFile, passwordFile, keyFile, required: true })
    await files.start()
    try {
      const { out } = await key(directory, 'create', 'ci', '--scope', 'a:pull')
      await until('the key', () => files.state?.keys.find(out.trim()))
      await writeFile(accessFile, 'rules: nonsense')
      const other = await key(directory, 'create', 'other', '--scope', 'a:pull')
      await key(directory, 'revoke', 'ci')
      await until('no key', () => files.state?.keys.find(out.trim()) === undefined)
      assert.equal(files.state?.keys.find(other.out.trim()), undefined, 'new keys wait for rules that can be used')
      assert.ok(files.state?.rules.allowsEverywhere({ kind: 'user', name: 'a', groups: [] }, 'pull'))
      await writeFile(accessFile, presetFile('private'))
      await until('the other key', () => files.state?.keys.find(other.out.trim()))
    } finally {
      await files.stop()
    }
  })
})
