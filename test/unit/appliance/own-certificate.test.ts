import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { newOperatorKey, signCertificate } from '../../../src/access/files/peer-certificate.ts'
import { OwnCertificate } from '../../../src/appliance/directory/own-certificate.ts'
import { recordingLog } from '../../fixtures/recording-log.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'

const peer = '12D3KooWAKXBgFofa5KWnjAZ9AYoTGtR4VtXsXPJYBhNZhpZxJ9t'

describe('the certificate in a data directory', () => {
  it('is shown where it is one for this node, and the log says once what there is', async t => {
    await using directory = await temporaryDirectory('certificate')
    const log = recordingLog()
    const own = new OwnCertificate({ log }, { dataDir: directory.path })
    const file = join(directory.path, 'peer-certificate')
    const key = await newOperatorKey()
    const sign = async (init: { peer?: string; lifetime?: number } = {}): Promise<string> =>
      await signCertificate(key, { peer, groups: ['a'], lifetime: 3600, ...init })
    const lines = (): string[] =>
      log.lines.splice(0).map(({ level, fields }) => `${level} ${String(fields['reason'] ?? fields['groups'])}`)

    assert.equal(await own.read(peer), undefined)
    assert.deepEqual(lines(), [])
    for (const [text, expected] of [
      [await sign(), /^info a$/],
      [await sign({ peer: 'another' }), /^warn it is for peer another, and this is 12D3/],
      [await sign({ lifetime: -60 }), /^warn it expired at /],
      ['rubbish', /^warn /],
      ['a'.repeat(10_000), /^warn it is longer than 4096 bytes$/],
    ] as const) {
      await writeFile(file, `${text}\n`)
      for (let i = 0; i < 2; i++) {
        assert.equal(await own.read(peer), expected.source.startsWith('^info') ? text : undefined)
      }
      const [line = '', ...more] = lines()
      assert.match(line, expected)
      assert.deepEqual(more, [])
    }
    await writeFile(file, await sign({ lifetime: 3600 }))
    await own.read(peer)
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 2 * 3600 * 1000 })
    assert.equal(await own.read(peer), undefined)
    assert.deepEqual(
      lines().map(line => line.split(' ')[0]),
      ['info', 'warn'],
    )
    t.mock.timers.reset()
    await rm(file)
    assert.equal(await own.read(peer), undefined)
    assert.deepEqual(lines(), [])
    await mkdir(file)
    assert.deepEqual([await own.read(peer), await own.read(peer)], [undefined, undefined])
    assert.deepEqual(lines(), ['warn is a directory'])
  })
})
