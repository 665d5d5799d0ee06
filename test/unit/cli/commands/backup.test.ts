import assert from 'node:assert/strict'
import { truncate } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { backup } from '../../../../src/client/backup/backup.ts'
import { applianceOver } from '../../../fixtures/backups.ts'
import { fakeServer } from '../../../fixtures/fake-server.ts'
import { imageManifest } from '../../../fixtures/manifests.ts'
import { readAll, TestRegistry } from '../../../fixtures/registry.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'
import { ipdr } from '../ipdr.ts'

let stores: TestRegistry
let scratch: TemporaryDirectory
let target: string

before(async () => {
  stores = await TestRegistry.open()
  scratch = await temporaryDirectory('cli-backup')
  target = join(scratch.path, 'backups')
  await stores.pushEmptyConfig('a')
  await stores.pushManifest('a', 'v1', imageManifest())
  await backup(applianceOver(stores), { target }, {})
})
after(async () => {
  await stores[Symbol.asyncDispose]()
  await scratch[Symbol.asyncDispose]()
})

describe('ipdr backup', () => {
  it('--verify checks a directory without an appliance, and fails where something is wrong', async () => {
    const { code, out, err } = await ipdr(['backup', '--verify', target])
    assert.deepEqual({ code, err }, { code: 0, err: '' })
    assert.match(out, /^1 files with \d+ blocks \([\d.]+ KiB\): 0 problems\n$/)
    const { file } = await backup(applianceOver(stores), { target: join(scratch.path, 'cut') }, {})
    await truncate(file!, 100)
    const cut = await ipdr(['backup', '--verify', join(scratch.path, 'cut')])
    assert.equal(cut.code, 1)
    assert.match(
      cut.out,
      new RegExp(
        `${basename(file!)}: it is cut short.*\n.*: it has 100 bytes instead of \\d+\n.*: its state can't be restored: .*\n1 files`,
      ),
    )
    assert.match(cut.err, /^ipdr: the backup is damaged or not complete\nThe next ipdr backup/)
    const { problems } = JSON.parse((await ipdr(['backup', '--verify', join(scratch.path, 'cut'), '--json'])).out) as {
      problems: unknown[]
    }
    assert.equal(problems.length, 3)
    assert.match((await ipdr(['backup', '--verify', join(scratch.path, 'nope')])).err, /nope can't be read: ENOENT\n$/)
  })

  it('fails where something is not in the backup, which is written all the same', async () => {
    const names = Array.from({ length: 2 }, (_, i) => `team/app@sha256:${i}`)
    await using server = await fakeServer(async (_, res) => {
      const { root, bytes } = await applianceOver(stores).backup(async function* () {})
      res
        .writeHead(200, { 'X-Ipfs-Roots': root, 'X-Ipdr-Left-Out': ['5', ...names].join(' ') })
        .end(await readAll(bytes))
    })
    const { code, out, err } = await ipdr([
      'backup',
      join(scratch.path, 'partial'),
      '--docker-registry-host',
      server.host,
    ])
    assert.deepEqual([code, /^Wrote/.test(out)], [1, true])
    assert.match(
      err,
      /not in the backup, because blocks are missing or damaged: team\/app@sha256:0, team\/app@sha256:1, and 3 more\n/,
    )
  })

  it('tells how much it wrote, and what was wrong', async () => {
    await using server = await fakeServer(async (_, res) => {
      const { root, bytes } = await applianceOver(stores).backup(async function* () {})
      res.writeHead(200, { 'X-Ipfs-Roots': root }).end(await readAll(bytes))
    })
    const files = join(scratch.path, 'files')
    const at = ['--docker-registry-host', server.host]
    const first = await ipdr(['backup', files, ...at])
    assert.match(first.out, /^Wrote [1-9]\d* blocks \([\d.]+ KiB\) to .*000001-baf\w+\.car\nbaf\w+\n$/)
    await truncate(/to (.*)/.exec(first.out)![1]!, 100)
    const second = await ipdr(['backup', files, ...at])
    assert.match(second.out, /^Wrote [1-9]\d* blocks/)
    assert.match(second.err, /^.*000001-.*: it is cut short.*\n.*: it has 100 bytes/)
    assert.match(
      (await ipdr(['backup', '--verify', files])).out,
      /^.*000001-.*: a part of it is damaged, as an earlier backup noted\n2 files/,
    )
  })
})
