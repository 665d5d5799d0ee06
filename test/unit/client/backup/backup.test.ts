import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { backup, type BackupInit, type BackupResult } from '../../../../src/client/backup/backup.ts'
import { rootInName } from '../../../../src/client/backup/backup-directory.ts'
import { restore } from '../../../../src/client/backup/restore.ts'
import { verifyBackup } from '../../../../src/client/backup/verify-backup.ts'
import { applianceOver } from '../../../fixtures/backups.ts'
import { contentsOf } from '../../../fixtures/contents.ts'
import { randomBytes } from '../../../fixtures/images.ts'
import { descriptorOf, imageManifest } from '../../../fixtures/manifests.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

const mebibyte = 1024 * 1024
const shared = randomBytes(2 * mebibyte + 5, 'shared')

let stores: TestRegistry
let scratch: TemporaryDirectory
let target: string

beforeEach(async () => {
  stores = await TestRegistry.open({ recent: 0, unreferenced: 0 })
  scratch = await temporaryDirectory('backup')
  target = join(scratch.path, 'backups')
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
  await scratch[Symbol.asyncDispose]()
})

async function push(tag: string, layers: readonly Buffer[] = [shared, randomBytes(5000, tag)]): Promise<void> {
  await stores.pushEmptyConfig('team/app')
  for (const layer of layers) {
    await stores.pushBlob('team/app', layer)
  }
  await stores.pushManifest(
    'team/app',
    tag,
    imageManifest({ layers: layers.map(layer => descriptorOf(layer)), annotations: { tag } }),
  )
}

async function run(init: Partial<BackupInit> = {}): Promise<BackupResult> {
  return await backup(applianceOver(stores), { target, ...init }, {})
}

async function restored(...sources: string[]): Promise<Record<string, unknown>> {
  await using other = await TestRegistry.open()
  await restore(applianceOver(other), { sources: sources.length === 0 ? [target] : sources }, {})
  return await contentsOf(other)
}

/** Three increments, the files of which are returned */
async function increments(): Promise<string[]> {
  const files: string[] = []
  for (const tag of ['v1', 'v2', 'v3']) {
    await push(tag)
    files.push((await run()).file!)
  }
  return files
}

describe('ipdr backup', () => {
  it('counts what it wrote', async () => {
    await push('v1')
    const { blocks, bytes, file } = await run()
    assert.ok(blocks > 8, `${blocks} blocks`)
    assert.equal(bytes, (await stat(file!)).size)
  })

  it('says that nothing has changed only where the directory has all', async () => {
    await push('v1')
    const first = await run()
    const { root, file, blocks, bytes } = await run()
    assert.deepEqual({ root, file, blocks, bytes }, { root: first.root, file: undefined, blocks: 0, bytes: 0 })
    assert.deepEqual((await readdir(target)).filter(name => name.endsWith('.car')).length, 1)
    await rm(first.file!)
    assert.ok((await run()).blocks > 8)
    assert.deepEqual(await restored(), await contentsOf(stores))
  })

  for (const [what, damage] of Object.entries<(file: string) => Promise<void>>({
    'is deleted': async file => {
      await rm(file)
    },
    'is cut short': async file => {
      await truncate(file, (await stat(file)).size - 3000)
    },
    'is empty': async file => {
      await truncate(file, 0)
    },
    'has a flipped bit in a block': async file => {
      await flip(file, (await stat(file)).size - 100)
    },
    'has a flipped bit in its header': async file => {
      await flip(file, 30)
    },
    'has a flipped bit in the length of its first block': async file => {
      await flip(file, 59)
    },
  })) {
    for (const number of [0, 1, 2]) {
      it(`mends a directory of which file ${number + 1} ${what}`, async () => {
        const files = await increments()
        await damage(files[number]!)
        await run()
        assert.deepEqual(await restored(), await contentsOf(stores))
      })
    }
  }
})

describe('a backup that is damaged', () => {
  it('is named file by file, and what the appliance has no more as lost', async () => {
    const [first, second] = await increments()
    await stores.repository('team/app').deleteManifest({ digest: (await stores.index.tag('team/app', 'v2'))!.digest })
    await stores.collector().collect()
    await rm(second!)
    await flip(first!, Math.floor((await stat(first!)).size / 2))
    const third = join(target, (await readdir(target)).find(name => name.startsWith('000003'))!)
    const { problems } = await verifyBackup(target, [], {})
    assert.deepEqual(
      problems.map(({ path }) => path),
      [second, first, first, third],
    )
    assert.match(
      problems.map(({ problem }) => problem).join('\n'),
      /^it is missing\nblock baf\w+ does not match its CID \(byte \d+\)\n(its state can't be restored: No block baf\w+\n?){2}$/,
    )

    const result = await run()
    assert.deepEqual([result.problems.map(({ path }) => path), result.lost], [[second, first], [third]])
    const after = await verifyBackup(target, [], {})
    assert.deepEqual(after.problems, [])
    assert.deepEqual(
      after.known.map(({ path }) => path),
      [first, third],
    )
    assert.deepEqual(await restored(), await contentsOf(stores))
    // the first state is whole again, with what the last file has of it
    await using other = await TestRegistry.open()
    assert.deepEqual(
      (await restore(applianceOver(other), { sources: [target], root: rootInName(basename(first!)) }, {})).tags,
      1,
    )
  })

  it('is restored where nothing that is damaged is needed', async () => {
    const files = await increments()
    await flip(files[1]!, (await stat(files[1]!)).size - 100)
    await run()
    const problems: string[] = []
    await using other = await TestRegistry.open()
    await restore(
      applianceOver(other),
      {
        sources: [target],
        onProblem: ({ path, problem }) => {
          problems.push(`${basename(path)}: ${problem}`)
        },
      },
      {},
    )
    assert.deepEqual(await contentsOf(other), await contentsOf(stores))
    assert.match(problems.join(), /^000002-baf\w+\.car: block baf\w+ does not match its CID \(byte \d+\)$/)
  })

  it('brings back each earlier state by its root', async () => {
    const states: [string, Record<string, unknown>][] = []
    for (const tag of ['v1', 'v2', 'v3']) {
      await push(tag)
      states.push([(await run()).root, await contentsOf(stores)])
    }
    for (const [root, contents] of states) {
      await using other = await TestRegistry.open()
      await restore(applianceOver(other), { sources: [target], root }, {})
      assert.deepEqual(await contentsOf(other), contents)
    }
  })

  it('counts as damaged where a file of another registry is the last, which is not restored', async () => {
    await increments()
    const contents = await contentsOf(stores)
    await using foreign = await TestRegistry.open()
    await foreign.pushEmptyConfig('foreign')
    await foreign.pushManifest('foreign', 'v1', imageManifest())
    const { file } = await backup(applianceOver(foreign), { target: join(scratch.path, 'foreign') }, {})
    await copyFile(file!, join(target, basename(file!).replace('000001', '000004')))
    assert.match(
      (await verifyBackup(target, [], {})).problems.map(({ problem }) => problem).join(),
      /^it is not in the list of files$/,
    )
    assert.deepEqual(await restored(), contents)
    assert.match(basename((await run()).file!), /^000005-/)
    await rm(join(target, 'backups.json'))
    assert.deepEqual(await restored(), contents)
  })

  it('of a version without a list is one without gaps in its numbers', async () => {
    const files = await increments()
    await rm(join(target, 'backups.json'))
    assert.deepEqual((await verifyBackup(target, [], {})).problems, [])
    await rm(files[0]!)
    assert.match((await verifyBackup(target, [], {})).problems[0]!.path, /000001-\*\.car$/)
    await run()
    assert.deepEqual((await verifyBackup(target, [], {})).problems, [])
    assert.deepEqual(await restored(), await contentsOf(stores))
  })

  it("is not mended where a file can't be read at all", async () => {
    const files = await increments()
    await assert.rejects(verifyBackup(join(target, 'nope'), [], {}), { name: 'ClientError' })
    await rm(files[0]!)
    await mkdir(files[0]!)
    await assert.rejects(run(), { name: 'ClientError', message: /can't be read: EISDIR/ })
  })

  it('is not read to its end by a check that is stopped', async () => {
    await increments()
    const controller = new AbortController()
    controller.abort()
    await assert.rejects(verifyBackup(target, [], { signal: controller.signal }), { name: 'AbortError' })
  })
})

describe('a backup since another', () => {
  it('has what that has not, or not whole', async () => {
    await push('v1')
    const base = (await run({ target: join(scratch.path, 'base.car') })).file!
    await push('v2')
    const small = await run({ since: [base] })
    assert.ok(small.bytes < 20_000, `${small.bytes} bytes`)
    assert.deepEqual((await verifyBackup(target, [base], {})).problems, [])
    assert.equal((await verifyBackup(target, [], {})).problems.length, 1)
    assert.equal((await run({ since: [base] })).file, undefined)
    assert.deepEqual(await restored(base, target), await contentsOf(stores))

    await flip(base, (await stat(base)).size - 100)
    const { problems } = await run({ since: [base] })
    assert.deepEqual(
      problems.map(({ path }) => path),
      [base],
    )
    assert.deepEqual(await restored(base, target), await contentsOf(stores))
    // a file by itself, in which all that is damaged is again
    await run({ target: join(scratch.path, 'next.car'), since: [base] })
    assert.deepEqual(await restored(base, join(scratch.path, 'next.car')), await contentsOf(stores))
  })

  it('that is only looked through, and is cut short, has what is cut off', async () => {
    const [first] = await increments()
    await truncate(first!, 100_000)
    const { problems } = await run({ quick: true })
    assert.equal(problems.length, 2)
    assert.deepEqual(await restored(), await contentsOf(stores))
  })
})

async function flip(file: string, offset: number): Promise<void> {
  const bytes = await readFile(file)
  bytes[offset]! ^= 1 << (offset % 8)
  await writeFile(file, bytes)
}
