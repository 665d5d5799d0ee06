import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { CidStore } from '../../../../src/registry/tags/cid-store.ts'
import { imageManifest } from '../../../fixtures/manifests.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

describe('CID store', () => {
  let stores: TestRegistry
  let scratch: TemporaryDirectory
  let directory: string
  let store: CidStore
  const roots: Record<string, string> = {}

  before(async () => {
    stores = await TestRegistry.open({ missingBlobs: 'accept' })
    for (const [repository, tag] of [
      ['a', 'b'],
      ['a/b', 'c'],
      ['team/app', 'v1'],
      ['team/app', 'v2'],
    ] as const) {
      roots[`${repository}/${tag}`] = (
        await stores.pushManifest(repository, tag, imageManifest({ annotations: { repository, tag } }))
      ).root
    }
  })
  after(async () => {
    await stores[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    scratch = await temporaryDirectory('cid-store')
    directory = join(scratch.path, 'cids')
  })
  afterEach(async () => {
    await store.stop()
    await scratch[Symbol.asyncDispose]()
  })

  async function start(exclusive = true): Promise<void> {
    store = new CidStore(
      { condition: stores.condition, index: stores.index, log: stores.log },
      { directory, exclusive },
    )
    await store.start()
    await store.idle()
  }

  async function contents(): Promise<Record<string, string>> {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true })
    const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
    return Object.fromEntries(
      await Promise.all(
        files.sort().map(async path => [path.slice(directory.length + 1), await readFile(path, 'utf8')]),
      ),
    )
  }

  const { 'a/b/c': _clash, ...all } = { 'a/b': '', 'a/b/c': '', 'team/app/v1': '', 'team/app/v2': '' }
  const expected = (): Record<string, string> => Object.fromEntries(Object.keys(all).map(path => [path, roots[path]!]))

  it('is made from the index, but for what has no place', async () => {
    await start()
    assert.deepEqual(await contents(), expected())
    assert.ok(
      stores.logged.some(
        ({ message, repository, tag }) =>
          String(message).startsWith('tag not in the CID store') && repository === 'a/b' && tag === 'c',
      ),
    )
  })

  it('is mended: what is missing, wrong, or of no tag any more', async () => {
    await mkdir(join(directory, 'team/app'), { recursive: true })
    await mkdir(join(directory, 'gone/app'), { recursive: true })
    await writeFile(join(directory, 'team/app/v1'), 'half of a C')
    await writeFile(join(directory, 'team/app/.tmp-1-0'), 'half of a C')
    await writeFile(join(directory, 'gone/app/v9'), roots['team/app/v1']!)
    await start()
    assert.deepEqual(await contents(), expected())
    assert.ok(!(await readdir(directory)).includes('gone'))
  })

  it('of another program keeps what the index does not know', async () => {
    await mkdir(join(directory, 'gone/app'), { recursive: true })
    await writeFile(join(directory, 'gone/app/v9'), 'x')
    await start(false)
    assert.deepEqual(await contents(), { ...expected(), 'gone/app/v9': 'x' })
  })

  it('follows tags that are set, moved and deleted', async () => {
    await start()
    const { root } = await stores.pushManifest('team/new', 'v1', imageManifest({ annotations: { n: '1' } }))
    store.tagged('team/new', 'v1')
    await store.idle()
    assert.equal((await contents())['team/new/v1'], root)
    const { root: moved } = await stores.pushManifest('team/new', 'v1', imageManifest({ annotations: { n: '2' } }))
    store.tagged('team/new', 'v1')
    await store.idle()
    assert.equal((await contents())['team/new/v1'], moved)
    await stores.repository('team/new').deleteManifest({ tag: 'v1' })
    store.tagged('team/new', 'v1')
    await store.idle()
    assert.deepEqual(await contents(), expected())
    assert.deepEqual(await readdir(join(directory, 'team')), ['app'], 'no empty directory is left')
  })

  it('gives a place to who waited for it', async () => {
    await start()
    await stores.repository('a').deleteManifest({ tag: 'b' })
    store.tagged('a', 'b')
    await store.idle()
    await store.idle()
    assert.equal((await contents())['a/b/c'], roots['a/b/c'])
  })

  it('refuses names that lead elsewhere', async () => {
    await start()
    await assert.rejects(store.update('../x', 'v1'), { name: 'OciError' })
    await assert.rejects(store.update('x', '../v1'), { name: 'OciError' })
  })
})
