import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { dataFormatFile, textOf, uploadBytes, type DataAnswers } from '../fixtures/data-format.ts'
import { ipdr } from '../fixtures/ipdr.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'

const formats = globSync('data-format-*.tar.gz', { cwd: join(import.meta.dirname, '../fixtures') }).map(
  file => /^data-format-(.+)\.tar\.gz$/.exec(file)![1]!,
)

test('there is a data directory of the present format', async () => {
  await using server = await ServerProcess.start()
  assert.ok(
    formats.includes(readFileSync(join(server.dataDir, 'format'), 'utf8').trim()),
    'run scripts/data-fixture.ts',
  )
})

for (const format of formats) {
  test(`a data directory of format ${format} is read: what was answered from it is answered again`, async () => {
    await using scratch = await temporaryDirectory('format')
    const dataDir = join(scratch.path, 'data')
    await mkdir(dataDir)
    execFileSync('tar', [
      '--extract',
      '--gzip',
      '--file',
      dataFormatFile(format, 'tar.gz'),
      '--no-same-owner',
      '--directory',
      dataDir,
    ])
    const { texts, blobs, name, upload } = JSON.parse(
      readFileSync(dataFormatFile(format, 'json'), 'utf8'),
    ) as DataAnswers
    // the upload was begun long ago
    await using server = await ServerProcess.start({ dataDir, args: ['--gc-uploads', '3650d'] })
    const client = new RegistryClient(server)
    const at = ['--json', '--data-dir', server.dataDir]
    const assertSame = async (): Promise<void> => {
      for (const [path, expected] of Object.entries(texts)) {
        assert.deepEqual(await textOf(client, path), expected, path)
      }
      for (const [path, digest] of Object.entries(blobs)) {
        assert.equal(await client.digestOf(path), path.includes('sha512') ? digest : path.split('/').at(-1), path)
        assert.equal(await client.digestOf(path), digest, path)
      }
    }
    assert.ok(Object.keys(texts).length > 10 && Object.keys(blobs).length > 5)
    await assertSame()
    assert.equal((JSON.parse(await ipdr(['publish', ...at])) as { name: string }).name, name)

    const bytes = uploadBytes()
    const status = await client.request('GET', upload.path)
    assert.deepEqual([status.status, status.headers.get('range')], [204, `0-${upload.size - 1}`])
    assert.equal((await client.appendToUpload(upload.path, upload.size, bytes.subarray(upload.size))).status, 202)
    assert.equal((await client.finishUpload(upload.path, upload.digest)).status, 201)
    assert.equal(await client.digestOf(`/v2/team/app/blobs/${upload.digest}`), upload.digest)

    const { missing, damaged } = JSON.parse(await ipdr(['fsck', ...at])) as { missing: number; damaged: number }
    assert.deepEqual({ missing, damaged }, { missing: 0, damaged: 0 })
    await ipdr(['gc', ...at])
    await assertSame()
  })
}
