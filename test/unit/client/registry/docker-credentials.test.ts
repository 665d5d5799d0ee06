import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { readCredentials } from '../../../../src/client/registry/docker-credentials.ts'
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
