import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { bytesOnDisk } from '../fixtures/bytes-on-disk.ts'
import { makeImage, randomBytes, writeLayout } from '../fixtures/images.ts'
import { ipdr } from '../fixtures/ipdr.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { run, tryRun } from '../fixtures/run.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { builtTool } from '../fixtures/tools.ts'

const mebibyte = 1024 * 1024
const hour = 3_600_000
/** Bytes of the repository */
const size = Number(process.env['IPDR_TEST_BLOB_MIB'] ?? 64) * mebibyte
const tags = ['v1', 'v2', 'v3', 'v4']
/** What is pulled by CID is not kept for its own sake */
const noCache = ['--cache-max-bytes', '0']
const noGrace = ['--gc-interval', 'off', '--gc-unreferenced', '0', '--gc-grace', '1s']
const args = [...noGrace, ...noCache, '--names-publish', 'false']

interface Listed {
  tag: string
  cid: string
}

test('a deleted repository is back with its tags and CIDs after garbage was collected, and its room is free in the end', {
  timeout: hour,
}, async t => {
  const crane = builtTool('crane')
  await using scratch = await temporaryDirectory('undo')
  const dataDir = join(scratch.path, 'data')
  const at = ['--data-dir', dataDir]
  const stored = async (): Promise<number> => await bytesOnDisk(join(dataDir, 'blocks'))

  {
    await using server = await ServerProcess.start({ dataDir, args })
    const client = new RegistryClient(server)
    const list = async (): Promise<Listed[]> => {
      return JSON.parse(await ipdr(['ls', 'team/app', '--json', '--docker-registry-host', server.host])) as Listed[]
    }
    for (const tag of tags) {
      const image = makeImage([{ [tag]: randomBytes(size / tags.length, tag) }])
      const layout = join(scratch.path, tag)
      await writeLayout(layout, image)
      await run(crane, ['push', layout, `${server.host}/team/app:${tag}`])
    }
    const before = await list()
    assert.deepEqual(
      before.map(({ tag }) => tag),
      tags,
    )
    const { state } = await lastChange(at)

    for (const tag of tags) {
      const digest = await run(crane, ['digest', `${server.host}/team/app:${tag}`])
      await run(crane, ['delete', `${server.host}/team/app@${digest}`])
    }
    t.diagnostic(await ipdr(['gc', '--grace', '0s', ...at]))
    assert.ok((await stored()) >= size)
    for (const { cid, tag } of before) {
      assert.notEqual((await tryRun(crane, ['digest', `${server.host}/team/app:${tag}`])).code, 0)
      const byCid = await client.request('GET', `/v2/${cid}/manifests/latest`)
      assert.ok(byCid.status >= 400, `${byCid.status} for the CID of ${tag}`)
    }

    const began = performance.now()
    await ipdr(['undo', 'team/app', '--to', String(state), ...at])
    t.diagnostic(`undone in ${Math.round(performance.now() - began)} ms, with the start of the command`)
    assert.deepEqual(await list(), before)
    for (const tag of tags) {
      // crane compares all bytes with their digests
      await run(crane, ['pull', `${server.host}/team/app:${tag}`, join(scratch.path, `${tag}.tar`)])
    }
    assert.equal((await client.request('GET', `/v2/${before[0]!.cid}/manifests/latest`)).status, 200)

    // an undo is a change: the deletions come back
    await ipdr(['undo', 'team/app', ...at])
    await ipdr(['gc', '--grace', '0s', ...at])
    assert.ok((await stored()) >= size)
  }

  await using server = await ServerProcess.start({ dataDir, args: [...args, '--history-keep', '1s'] })
  t.diagnostic(await ipdr(['gc', '--grace', '0s', ...at]))
  assert.ok((await stored()) < mebibyte, `${await stored()} bytes are left`)
  assert.equal((await new RegistryClient(server).request('GET', '/v2/team/app/tags/list')).status, 404)
})

async function lastChange(at: readonly string[]): Promise<{ state: number }> {
  const { changes } = JSON.parse(await ipdr(['history', '--json', '--limit', '1', ...at])) as {
    changes: Array<{ state: number }>
  }
  return changes[0]!
}
