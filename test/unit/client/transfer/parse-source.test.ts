import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseSource } from '../../../../src/client/transfer/parse-source.ts'
import { sha256 } from '../../../fixtures/images.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

const digest = sha256(Buffer.from('x'))
let scratch: TemporaryDirectory
before(async () => {
  scratch = await temporaryDirectory('source')
  await mkdir(join(scratch.path, 'layout'))
  await writeFile(join(scratch.path, 'image.tar'), '')
})
after(async () => {
  await scratch[Symbol.asyncDispose]()
})

describe('the source of an image', () => {
  for (const [text, kind, path, tag] of [
    ['layout', 'layout', 'layout', undefined],
    ['image.tar', 'archive', 'image.tar', undefined],
    ['oci:layout', 'layout', 'layout', undefined],
    ['oci:layout:v1', 'layout', 'layout', 'v1'],
    ['oci-archive:image.tar:v1', 'archive', 'image.tar', 'v1'],
    ['docker-archive:image.tar', 'archive', 'image.tar', undefined],
  ] as const) {
    it(`may be ${text}`, async () => {
      const colon = text.indexOf(':')
      const absolute = text.slice(0, colon + 1) + join(scratch.path, text.slice(colon + 1))
      assert.deepEqual(await parseSource(absolute), { kind, path: join(scratch.path, path), tag })
    })
  }

  for (const [text, host, repository, reference] of [
    ['localhost:5000/a/b:v1', 'localhost:5000', 'a/b', { tag: 'v1' }],
    ['docker://registry.example/a', 'registry.example', 'a', { tag: 'latest' }],
    [`registry.example/a@${digest}`, 'registry.example', 'a', { digest }],
    [`registry.example/a:v1@${digest}`, 'registry.example', 'a', { digest }],
    ['busybox', 'registry-1.docker.io', 'library/busybox', { tag: 'latest' }],
    ['docker.io/library/busybox:1', 'registry-1.docker.io', 'library/busybox', { tag: '1' }],
    ['example/x', 'registry-1.docker.io', 'example/x', { tag: 'latest' }],
  ] as const) {
    it(`may be ${text}`, async () => {
      const source = await parseSource(text)
      assert.ok(source.kind === 'registry')
      assert.deepEqual(
        { host: source.host, repository: source.name.repository, reference: source.name.reference },
        { host, repository, reference },
      )
    })
  }

  it('may be another image of the engine', async () =>
    assert.deepEqual(await parseSource('docker-daemon:x:v1'), { kind: 'engine', image: 'x:v1' }))

  for (const text of [
    './nope',
    '/nope',
    'nope.tar',
    'oci:nope',
    'oci-archive:nope:v1',
    'docker://../x',
    'a/../b',
    'localhost:5000/UPPER',
    'a:b:c',
    'host.example/a@sha256:x',
    'a\\b.c/d',
  ]) {
    it(`is not ${text}`, async () => {
      await assert.rejects(parseSource(text), (err: Error) => ['ClientError', 'OciError'].includes(err.name))
    })
  }
})
