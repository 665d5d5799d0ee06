import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { verifyCertificate } from '../../../../src/access/files/peer-certificate.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'
import { ipdr } from '../ipdr.ts'

const peer = '12D3KooWAKXBgFofa5KWnjAZ9AYoTGtR4VtXsXPJYBhNZhpZxJ9t'
const day = 24 * 3600 * 1000

let scratch: TemporaryDirectory
beforeEach(async () => {
  scratch = await temporaryDirectory('trust')
})
afterEach(async () => {
  await scratch[Symbol.asyncDispose]()
})

const path = (name: string): string => join(scratch.path, name)

describe('ipdr peers trust', () => {
  it('makes a key in the data directory, which signs certificates', async () => {
    const made = await ipdr(['peers', 'trust', 'init', '--data-dir', path('data')])
    assert.equal(made.code, 0, made.err)
    assert.match(made.out, /^ed25519:[\w-]{43}\n$/)
    assert.match(made.err, /^Whoever has [^\n]*operator-key\.json can let peers in\.[^\n]*\n$/)
    const file = path('data/operator-key.json')
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    const secret = (JSON.parse(await readFile(file, 'utf8')) as { d: string }).d
    assert.ok(!made.out.includes(secret) && !made.err.includes(secret))

    const sign = ['peers', 'trust', 'sign', peer, '--groups', 'a,b', '--expires', '2d', '--data-dir', path('data')]
    const signed = await ipdr(sign)
    assert.deepEqual([signed.code, signed.err], [0, ''])
    const found = await verifyCertificate(signed.out.trim(), peer, key => key === made.out.trim())
    assert.deepEqual(found.groups, ['a', 'b'])
    assert.ok(Math.abs(found.expires - Date.now() - 2 * day) < day / 24)

    const usual = await ipdr(['peers', '--data-dir', path('data'), 'trust', 'sign', peer])
    const { expires, groups } = await verifyCertificate(usual.out.trim(), peer, () => true)
    assert.deepEqual(groups, [])
    assert.ok(Math.abs(expires - Date.now() - 365 * day) < day)
  })

  it('keeps the key where it is told, and never replaces one', async () => {
    const init = ['peers', 'trust', 'init', '--key', path('key')]
    assert.equal((await ipdr(init)).code, 0)
    const text = await readFile(path('key'), 'utf8')
    const { code, err } = await ipdr(init)
    assert.deepEqual([code, err], [1, `ipdr: ${path('key')} is there already, and is left as it is\n`])
    assert.equal(await readFile(path('key'), 'utf8'), text)
    assert.equal((await ipdr(['peers', 'trust', 'sign', peer, '--key', path('key')])).code, 0)
  })

  it('tells each default once', async () => {
    const { out } = await ipdr(['peers', 'trust', 'sign', '--help'])
    const text = out.replace(/\s+/g, ' ')
    assert.match(text, /--groups <groups> [^(]*\(default: none\) --expires <duration> [^(]*\(default: 365d\) -h/)
  })

  it('signs nothing that makes no sense, and quotes no key', async () => {
    await ipdr(['peers', 'trust', 'init', '--key', path('key')])
    await writeFile(path('other'), 'a secret')
    for (const [args, message] of [
      [['nobody', '--key', path('key')], 'nobody is no peer id, such as 12D3KooW...'],
      [[peer, '--groups', 'a b', '--key', path('key')], `"a b" can't be the name of a group`],
      [[peer, '--expires', '0s', '--key', path('key')], 'a certificate has to be valid for at least a second'],
      [[peer, '--expires', '100000000d', '--key', path('key')], 'a certificate can be valid for at most 36500d'],
      [[peer, '--key', path('other')], `${path('other')} can't be used: it holds no key of an operator`],
      [[peer, '--key', path('none')], `${path('none')} can't be used: no such file`],
      [[peer, '--data-dir', path('none')], `${path('none/operator-key.json')} can't be used: no such file`],
    ] as const) {
      const { code, err, out } = await ipdr(['peers', 'trust', 'sign', ...args])
      assert.deepEqual([code, out], [1, ''])
      assert.ok(err.startsWith(`ipdr: ${message}`), err)
      assert.ok(!err.includes('a secret'))
    }
  })
})
