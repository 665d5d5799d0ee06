import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, realpath, stat, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import {
  eraseCredentials,
  readCredentials,
  storeCredentials,
} from '../../../../src/remote/registry/docker-credentials.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

let scratch: TemporaryDirectory
beforeEach(async () => {
  scratch = await temporaryDirectory('docker-config')
})
afterEach(async () => {
  await scratch[Symbol.asyncDispose]()
})

async function credentials(config: unknown, host: string): ReturnType<typeof readCredentials> {
  const file = join(scratch.path, 'config.json')
  await writeFile(file, typeof config === 'string' ? config : JSON.stringify(config))
  return await readCredentials(file, host)
}

const auth = Buffer.from('alice:se:cret').toString('base64')
const alice = { username: 'alice', password: 'se:cret', identityToken: undefined }

describe('log-ins of the Docker tools', () => {
  it('are none where there is no file', async () => {
    assert.equal(await readCredentials(join(scratch.path, 'none.json'), 'host'), undefined)
  })

  for (const [key, host] of [
    ['host:5000', 'host:5000'],
    ['https://host', 'host'],
    ['http://host:1', 'host:1'],
    ['https://host/v1/', 'host'],
    ['https://index.docker.io/v1/', 'registry-1.docker.io'],
  ] as const) {
    it(`for ${host} lie under ${key}`, async () => {
      assert.deepEqual(await credentials({ auths: { [key]: { auth } } }, host), alice)
      assert.equal(await credentials({ auths: { [key]: { auth } } }, 'other'), undefined)
    })
  }

  it('may be an identity token', async () => {
    assert.equal((await credentials({ auths: { host: { identitytoken: 'id' } } }, 'host'))?.identityToken, 'id')
  })

  it('may be empty', async () => {
    for (const config of [
      {},
      { auths: { host: {} } },
      'null',
      '[]',
      { auths: { host: null } },
      { auths: { host: { auth: 7 } } },
      { auths: null, credHelpers: {} },
    ]) {
      assert.equal(await credentials(config, 'host'), undefined)
    }
  })

  it('are not guessed', async () => {
    await assert.rejects(credentials(`{"auths":{"host":{"auth":"${auth}" "x"}}}`, 'host'), {
      name: 'ClientError',
      message: /config\.json is not JSON$/,
    })
    await assert.rejects(credentials({ credsStore: '../../evil' }, 'host'), { name: 'ClientError' })
  })
})

describe('a log-in that is stored', () => {
  const file = (): string => join(scratch.path, 'docker/config.json')
  const read = async (): Promise<unknown> => JSON.parse(await readFile(file(), 'utf8'))

  it('is found again, and gone after a logout', async () => {
    for (const [host, key] of [
      ['host:5000', 'host:5000'],
      ['registry-1.docker.io', 'https://index.docker.io/v1/'],
    ] as const) {
      assert.equal(await storeCredentials(file(), host, alice), undefined)
      assert.deepEqual(await read(), { auths: { [key]: { auth } } })
      assert.deepEqual(await readCredentials(file(), host), alice)
      assert.equal(await eraseCredentials(file(), host), true)
      assert.equal(await eraseCredentials(file(), host), false)
      assert.deepEqual(await read(), { auths: {} })
    }
    const token = { username: 'alice', password: '', identityToken: 'id' }
    await storeCredentials(file(), 'host', token)
    assert.deepEqual(await readCredentials(file(), 'host'), token)
    assert.deepEqual(await readdir(join(scratch.path, 'docker')), ['config.json'])
  })

  it('is taken out under each of its names', async () => {
    await mkdir(join(scratch.path, 'docker'))
    await writeFile(file(), JSON.stringify({ auths: { 'https://host': { auth }, 'http://host': {}, other: { auth } } }))
    assert.equal(await eraseCredentials(file(), 'host'), true)
    assert.deepEqual(await read(), { auths: { other: { auth } } })
  })

  it('leaves a link where it is', async () => {
    await mkdir(join(scratch.path, 'docker'))
    await mkdir(join(scratch.path, 'dotfiles'))
    const target = join(scratch.path, 'dotfiles/docker.json')
    await writeFile(target, '{"a":1}')
    await symlink(target, file())
    await storeCredentials(file(), 'host', alice)
    assert.equal(await realpath(file()), target)
    assert.deepEqual(JSON.parse(await readFile(target, 'utf8')), { a: 1, auths: { host: { auth } } })
    assert.equal((await stat(target)).mode & 0o777, 0o600)
  })

  it('replaces nothing that is no configuration', async () => {
    await mkdir(join(scratch.path, 'docker'))
    for (const text of ['{"auths":', '[1]', '7', '']) {
      await writeFile(file(), text)
      await assert.rejects(storeCredentials(file(), 'host', alice), { name: 'ClientError' })
      assert.equal(await readFile(file(), 'utf8'), text)
    }
    await assert.rejects(storeCredentials(join(file(), 'config.json'), 'host', alice), {
      message: /can't be (read|written)/,
    })
  })
})

describe('log-ins that a helper holds', () => {
  let directory: TemporaryDirectory
  const path = process.env['PATH']

  before(async () => {
    directory = await temporaryDirectory('helper')
    process.env['PATH'] = `${directory.path}${delimiter}${path}`
    const helper = join(directory.path, 'docker-credential-test')
    await writeFile(
      helper,
      '#!/bin/sh\nread host\ncase $host in\n  host) echo \'{"Username":"alice","Secret":"se:cret"}\' ;;\n  token) echo \'{"Username":"<token>","Secret":"id"}\' ;;\n  broken) echo \'{"Username":7}\' ;;\n  *) echo "credentials not found" ; exit 1 ;;\nesac\n',
    )
    await chmod(helper, 0o755)
  })

  after(async () => {
    process.env['PATH'] = path
    await directory[Symbol.asyncDispose]()
  })

  it('are asked for', async () => {
    assert.deepEqual(await credentials({ credsStore: 'test' }, 'host'), { username: 'alice', password: 'se:cret' })
    assert.deepEqual(await credentials({ credHelpers: { token: 'test' } }, 'token'), {
      username: '',
      password: '',
      identityToken: 'id',
    })
  })

  it('may be none', async () => {
    assert.equal(await credentials({ credsStore: 'test' }, 'other'), undefined)
    assert.equal(await credentials({ credsStore: 'missing' }, 'host'), undefined)
    assert.equal(await credentials({ credsStore: 'test' }, 'broken'), undefined)
    assert.equal(await credentials({ credHelpers: {} }, 'constructor'), undefined)
    assert.deepEqual(await credentials({ credsStore: 'test', auths: { other: { auth } } }, 'other'), alice)
  })
})
