import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { bytesOnDisk } from '../fixtures/bytes-on-disk.ts'
import { makeImage, randomBytes, readLayout, writeLayout, type Image } from '../fixtures/images.ts'
import { ipdr, tryIpdr } from '../fixtures/ipdr.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { run, tryRun } from '../fixtures/run.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { smallVolume } from '../fixtures/small-volume.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { builtTool } from '../fixtures/tools.ts'
import { until } from '../fixtures/until.ts'

const minute = 60_000
const mebibyte = 1024 * 1024
const limits = {
  'a file system of 64 MiB': { args: [], limit: 'storage.minFree' },
  'storage.maxBytes': { args: ['--storage-max-bytes', '52MiB'], limit: 'storage.maxBytes' },
}

const [kept, deleted, large, next] = [
  imageOf(8, 'kept'),
  imageOf(14, 'deleted'),
  imageOf(46, 'large'),
  imageOf(32, 'next'),
]

function imageOf(mebibytes: number, seed: string): Image {
  return makeImage([{ [seed]: randomBytes(mebibytes * mebibyte, seed) }])
}

for (const [what, { args, limit }] of Object.entries(limits)) {
  test(`${what}, filled in mid-push, loses nothing and takes pushes again after deletes`, {
    timeout: 3 * minute,
  }, async t => {
    await using volume = limit === 'storage.minFree' ? await smallVolume('64m') : await temporaryDirectory('quota')
    await using scratch = await temporaryDirectory('layouts')
    // the directory of tags is published half a second after the start, and its blocks would be counted too
    await using server = await ServerProcess.start({
      dataDir: join(volume.path, 'data'),
      args: [...args, '--names-publish', 'false', '--history-keep', 'off'],
    })
    const client = new RegistryClient(server)
    const crane = builtTool('crane')
    const layout = (name: string): string => join(scratch.path, name)
    const at = (name: string): string => `${server.host}/full/${name}:latest`
    const metric = async (name: string): Promise<number> => (await client.metrics())(name)
    const push = async (name: string, image: Image): Promise<void> => {
      await writeLayout(layout(name), image)
      await run(crane, ['push', layout(name), at(name)])
    }
    const verify = async (name: string, { content, descriptor }: Image): Promise<void> => {
      const pulled = layout(`${name}-pulled-${Math.random()}`)
      await run(crane, ['pull', '--format', 'oci', at(name), pulled])
      for (const [digest, bytes] of content) {
        assert.ok((await readLayout(pulled, digest)).equals(bytes), `${name}: ${digest}`)
      }
      assert.equal(await run(crane, ['digest', at(name)]), descriptor.digest)
    }

    await t.test('a push that does not fit in is refused half-way', async () => {
      await push('kept', kept)
      await push('deleted', deleted)
      await writeLayout(layout('large'), large)
      const { code, stderr } = await tryRun(crane, ['push', layout('large'), at('large')])
      assert.equal(code, 1)
      assert.match(stderr, /507|STORAGE_FULL/)
      const layer = [...large.content].find(([, bytes]) => bytes.byteLength > mebibyte)![0]
      const blob = join(layout('large'), 'blobs', layer.replace(':', '/'))
      const started = await client.startUpload('full/curl')
      const url = new URL(started.headers.get('Location') ?? '/nowhere', server.url).href
      const status = await run(
        'curl',
        [
          '-s',
          '-X',
          'PATCH',
          '-T',
          '-',
          '-H',
          'Expect:',
          '-o',
          layout('answer'),
          '-w',
          '%{http_code}',
          url,
          '--retry',
          '0',
        ],
        { input: await readLayout(layout('large'), layer) },
      )
      assert.equal(status, '507', blob)
      assert.equal(JSON.parse(await run('cat', [layout('answer')])).errors[0].detail.limit, limit)
      const pushed = await tryIpdr([
        'push',
        'full/large',
        '--from',
        layout('large'),
        '--docker-registry-host',
        server.host,
      ])
      assert.equal(pushed.code, 1)
      assert.match(pushed.stderr, /507 STORAGE_FULL .*ipdr gc/s)
    })

    await t.test('the server goes on, and has what it had', async () => {
      assert.equal((await client.request('GET', '/livez')).status, 200)
      assert.equal((await client.request('GET', '/readyz')).status, 200)
      await verify('kept', kept)
      await verify('deleted', deleted)
      assert.ok((await metric('ipdr_storage_refused')) > 0)
      assert.equal(await metric('ipdr_storage_max_bytes'), limit === 'storage.maxBytes' ? 52 * mebibyte : Number.NaN)
      assert.ok((await metric('ipdr_storage_free_bytes')) >= (await metric('ipdr_storage_min_free_bytes')))
    })

    await t.test('what the refused pushes brought goes without being asked', async () => {
      await until('the room', async () => (await bytesOnDisk(join(server.dataDir, 'blocks'))) < 26 * mebibyte, minute)
    })

    await t.test('after a delete and a garbage collection the next push fits in', async () => {
      await run(crane, ['delete', `${server.host}/full/deleted@${deleted.descriptor.digest}`])
      assert.match(await ipdr(['gc', '--grace', '0s', '--data-dir', server.dataDir]), /^Freed 1\d\.\d MiB/)
      await push('next', next)
      await verify('kept', kept)
      await server.kill()
      await server.start()
      const known = await until('the count', async () => (await metric('ipdr_blockstore_bytes')) || undefined)
      assert.equal(known, await bytesOnDisk(join(server.dataDir, 'blocks')))
      await verify('next', next)
    })
  })
}
