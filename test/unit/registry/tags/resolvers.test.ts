import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { UnavailableError } from '../../../../src/ipfs/errors.ts'
import type { DirectoryEntry } from '../../../../src/ipfs/content-store.ts'
import type { NameResolver } from '../../../../src/registry/tags/resolver-source.ts'
import { Resolvers } from '../../../../src/registry/tags/resolvers.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

const cids = {
  a: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
  b: 'bafybeifdu6szz4rerwwo577ttks42zqyurteguvwp7zrztmumxxx3b62ma',
}
const key = 'k51qzi5uqu5dl8hs3xtt2ay8lhf02v613hb4av3wr80owedc7llltxsl8p5ud2'

let stores: TestRegistry
let scratch: TemporaryDirectory
before(async () => {
  stores = await TestRegistry.open()
  scratch = await temporaryDirectory('resolvers')
})
after(async () => {
  await stores[Symbol.asyncDispose]()
  await scratch[Symbol.asyncDispose]()
})

const nobody: NameResolver = {
  resolve: async () => {
    throw new UnavailableError()
  },
}

function make(resolvers: readonly string[], names = nobody, timeout?: number): Resolvers {
  return new Resolvers(
    { content: stores.content, names, log: stores.log },
    { resolvers, ...(timeout === undefined ? {} : { timeout }) },
  )
}

/** Stores files by their paths, and returns the root's CID */
async function directory(files: Record<string, string>): Promise<string> {
  const entries: DirectoryEntry[] = []
  for (const name of new Set(Object.keys(files).map(path => path.split('/')[0]!))) {
    const below = Object.entries(files)
      .filter(([path]) => path.startsWith(`${name}/`))
      .map(([path, text]) => [path.slice(name.length + 1), text])
    const content =
      below.length === 0
        ? await stores.content.add(Buffer.from(files[name]!))
        : await directoryContent(Object.fromEntries(below))
    entries.push({ name, content })
  }
  return (await stores.content.addDirectory(entries)).cid
}

async function directoryContent(files: Record<string, string>): Promise<DirectoryEntry['content']> {
  return { cid: await directory(files), size: 0, dagSize: 0 }
}

async function files(name: string, contents: Record<string, string>): Promise<string> {
  const root = join(scratch.path, name)
  await mkdir(root, { recursive: true })
  for (const [path, text] of Object.entries(contents)) {
    await mkdir(join(root, path, '..'), { recursive: true })
    await writeFile(join(root, path), text)
  }
  return root
}

describe('a resolver of a directory', () => {
  it('reads CIDs in any form, and lists tags', async () => {
    const v0 = 'QmYMg6WAuvF5i5yFmjT8KkqewZ5Ngh4U9Mp1bGfdjraFVk'
    const root = await files('forms', {
      'team/app/v1': cids.a,
      'team/app/v2': `  /ipfs/${cids.b}\n`,
      'team/app/v0': v0,
      'team/app/sub/v3': cids.a,
      'team/app/.hidden': cids.a,
    })
    const resolvers = make([`file:${root}`])
    assert.equal(await resolvers.resolve('team/app', 'v1'), cids.a)
    assert.equal(await resolvers.resolve('team/app', 'v2'), cids.b)
    assert.match((await resolvers.resolve('team/app', 'v0')) ?? '', /^bafybei/)
    for (const [repository, tag] of [
      ['team/app', 'sub'],
      ['team/app', 'v9'],
      ['team', 'app'],
      ['team/app/v1', 'x'],
      ['other', 'v1'],
    ] as const) {
      assert.equal(await resolvers.resolve(repository, tag), undefined, `${repository}:${tag}`)
    }
    assert.deepEqual(await resolvers.tags('team/app'), ['v0', 'v1', 'v2'])
    assert.deepEqual(await resolvers.tags('other'), [])
    assert.equal(await make([`file://${root}`]).resolve('team/app', 'v1'), cids.a)
  })

  it('never leaves it', async () => {
    const outside = await files('outside', { secret: cids.a })
    const root = await files('inside', { 'team/app/v1': cids.a })
    await symlink(join(outside, 'secret'), join(root, 'team/app/file'))
    await symlink(outside, join(root, 'team/linked'))
    await symlink('v1', join(root, 'team/app/same'))
    execFileSync('mkfifo', [join(root, 'team/app/pipe')])
    const resolvers = make([`file:${root}`])
    for (const [repository, tag] of [
      ['../outside', 'secret'],
      ['team/app', '../../../outside/secret'],
      ['..', 'outside'],
      ['', 'v1'],
      ['team//app', 'v1'],
      ['team/app', 'file'],
      ['team/linked', 'secret'],
    ] as const) {
      await assert.rejects(resolvers.resolve(repository, tag), { name: 'UnavailableError' }, `${repository}:${tag}`)
    }
    assert.equal(await resolvers.resolve('team/app', 'same'), cids.a)
    assert.equal(await resolvers.resolve('team/app', 'pipe'), undefined)
    assert.deepEqual(await resolvers.tags('team/app'), ['same', 'v1'])
    await assert.rejects(resolvers.tags('team/linked'), { name: 'UnavailableError' })
  })

  it('that holds something else than a CID has failed', async () => {
    const root = await files('garbage', { 'team/app/v1': 'nothing', 'team/app/v2': `/ipns/${key}`, 'team/app/v3': '' })
    for (const tag of ['v1', 'v2', 'v3']) {
      await assert.rejects(make([`file:${root}`]).resolve('team/app', tag), { name: 'UnavailableError' })
    }
  })

  it('that went away has failed, and is refused at the start', async () => {
    const root = await files('gone', {})
    const resolvers = make([`file:${root}`])
    await resolvers.check()
    await rm(root, { recursive: true })
    await assert.rejects(resolvers.resolve('team/app', 'v1'), { name: 'UnavailableError' })
    await assert.rejects(resolvers.check(), { name: 'ResolverError', message: /no such directory/ })
  })
})

describe('a resolver in IPFS', () => {
  it('reads files below its root, and lists those that are tags', async () => {
    const root = await directory({
      'cids/team/app/v1': cids.a,
      'cids/team/app/latest': `${cids.b}\n`,
      'cids/team/app/sub/v3': cids.a,
      'cids/team/app/big': cids.a.padEnd(2000),
    })
    for (const resolver of [`/ipfs/${root}/cids`, `ipfs/${root}/cids`]) {
      const resolvers = make([resolver])
      assert.equal(await resolvers.resolve('team/app', 'v1'), cids.a)
      assert.equal(await resolvers.resolve('team/app', 'latest'), cids.b)
      for (const tag of ['sub', 'v9', 'big']) {
        assert.equal(await resolvers.resolve('team/app', tag), undefined)
      }
      assert.deepEqual(await resolvers.tags('team/app'), ['big', 'latest', 'v1'])
      assert.deepEqual(await resolvers.tags('other'), [])
    }
  })

  it('follows a name for each question', async () => {
    const asked: string[] = []
    let root = await directory({ 'cids/team/app/v1': cids.a })
    const names: NameResolver = {
      resolve: async name => {
        asked.push(name)
        return { cid: root, path: ['cids'] }
      },
    }
    for (const resolver of [`/ipns/${key}`, 'Registry.example', '/ipns/registry.example/']) {
      assert.equal(await make([resolver], names).resolve('team/app', 'v1'), cids.a)
    }
    assert.deepEqual(asked, [key, 'registry.example', 'registry.example'])
    const resolvers = make([`/ipns/${key}`], names)
    root = await directory({ 'cids/team/app/v1': cids.b })
    assert.equal(await resolvers.resolve('team/app', 'v1'), cids.b)
  })

  it('whose blocks are missing, or that does not answer in time, has failed', async () => {
    await assert.rejects(make([`/ipfs/${cids.b}`]).resolve('team/app', 'v1'), { name: 'UnavailableError' })
    const slow: NameResolver = {
      resolve: async (_name, options) =>
        await new Promise((_resolve, reject) => {
          options?.signal?.addEventListener('abort', () => {
            reject(options.signal?.reason)
          })
        }),
    }
    await assert.rejects(make(['slow.example'], slow, 20).resolve('team/app', 'v1'), { name: 'UnavailableError' })
    const controller = new AbortController()
    const waiting = assert.rejects(
      make(['slow.example'], slow).resolve('team/app', 'v1', { signal: controller.signal }),
      { name: 'AbortError' },
    )
    controller.abort()
    await waiting
  })
})

describe('several resolvers', () => {
  it('are asked in their order, and one that fails is passed over', async () => {
    const root = await files('order', { 'team/app/v1': cids.a, 'team/app/v2': cids.a })
    const content = `/ipfs/${await directory({ 'team/app/v1': cids.b, 'team/app/v3': cids.b })}`
    assert.equal(await make([`file:${root}`, content]).resolve('team/app', 'v1'), cids.a)
    assert.equal(await make([content, `file:${root}`]).resolve('team/app', 'v1'), cids.b)
    assert.equal(await make(['down.example', content, `file:${root}`]).resolve('team/app', 'v2'), cids.a)
    assert.ok(
      stores.logged.some(({ message, resolver }) => message === 'resolver failed' && resolver === 'down.example'),
    )
    assert.deepEqual(await make(['down.example', content, `file:${root}`]).tags('team/app'), ['v1', 'v2', 'v3'])
  })

  it('know nothing for sure only where all could be asked', async () => {
    const root = await files('order', {})
    assert.equal(await make([`file:${root}`]).resolve('team/app', 'v9'), undefined)
    assert.deepEqual(await make([]).tags('team/app'), [])
    await assert.rejects(make([`file:${root}`, 'down.example']).resolve('team/app', 'v9'), { name: 'UnavailableError' })
    await assert.rejects(make([`file:${root}`, 'down.example']).tags('other'), { name: 'UnavailableError' })
  })

  for (const resolver of [
    '',
    'cids',
    '/cids',
    '/ipfs/nothing',
    `/ipfs/${key}`,
    `/ipns/${cids.a}`,
    cids.a,
    'file:',
    'https://example.com',
    '..',
    '/ipfs/',
  ]) {
    it(`refuse ${JSON.stringify(resolver)}`, () =>
      assert.throws(() => make([resolver]), { name: 'ResolverError', expected: true }))
  }
})
