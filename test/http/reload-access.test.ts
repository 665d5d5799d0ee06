/** Commands that change who may do what: it holds once they have ended */
import assert from 'node:assert/strict'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { bearer, initAccess } from '../fixtures/access.ts'
import { TestAppliance } from '../fixtures/appliance.ts'
import { ipdr, tryIpdr } from '../fixtures/ipdr.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'

it('rules and keys hold once the command has ended', async () => {
  await using directory = await temporaryDirectory('reload-access')
  const dataDir = join(directory.path, 'data')
  await using server = await TestAppliance.start(dataDir)
  const statusFor = async (headers: Record<string, string> = {}): Promise<number> =>
    (await server.client.request('GET', '/v2/', { headers })).status
  assert.equal(await statusFor(), 200)
  await initAccess('private', dataDir)
  assert.equal(await statusFor(), 401)
  const key = await ipdr(['key', 'create', 'ci', '--scope', '**:pull', '--data-dir', dataDir])
  assert.equal(await statusFor(bearer(key)), 200)
  await ipdr(['key', 'revoke', 'ci', '--data-dir', dataDir])
  assert.equal(await statusFor(bearer(key)), 401)

  await appendFile(join(dataDir, 'access.yml'), '\nrules: x\n')
  const { code, stderr } = await tryIpdr(['key', 'create', 'later', '--scope', '**:pull', '--data-dir', dataDir])
  assert.equal(code, 0)
  assert.match(stderr, /^The server goes on as before, as it can't use the files: access\.yml/m)
  assert.equal(await statusFor(), 401)
})

it('a command says that no server runs', async () => {
  await using directory = await temporaryDirectory('reload-nothing')
  const { code, stderr, stdout } = await tryIpdr(['access', 'init', 'private', '--data-dir', directory.path])
  assert.equal(code, 0)
  assert.match(stdout, /^admin \S+$/m)
  assert.ok(stderr.includes(`No server runs on ${directory.path}: one reads this when it starts.\n`), stderr)
})
