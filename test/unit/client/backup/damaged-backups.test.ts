/**
 * Whatever happens to the files of a directory of backups: the next backup mends it, and a check tells before and after
 * whether it has to
 */
import assert from 'node:assert/strict'
import { copyFile, cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { backup } from '../../../../src/client/backup/backup.ts'
import { restore } from '../../../../src/client/backup/restore.ts'
import { verifyBackup } from '../../../../src/client/backup/verify-backup.ts'
import { applianceOver } from '../../../fixtures/backups.ts'
import { contentsOf } from '../../../fixtures/contents.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, imageManifest } from '../../../fixtures/manifests.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

const minute = 60_000
const noGrace = { recent: 0, unreferenced: 0 }
const shared = randomBytes(1024 * 1024 + 5, 'shared')

let stores: TestRegistry
let scratch: TemporaryDirectory
let contents: Record<string, unknown>
let runs = 0

before(async () => {
  stores = await TestRegistry.open(noGrace)
  scratch = await temporaryDirectory('damaged-backups')
  const own = join(scratch.path, 'own')
  for (const tag of ['v1', 'v2', 'v3', 'v4']) {
    await push(stores, tag)
    if (tag === 'v3') {
      // some of the second state is in its file alone from now on
      await stores.repository('team/app').deleteManifest({ digest: (await stores.index.tag('team/app', 'v2'))!.digest })
      await stores.collector().collect()
    }
    await backup(applianceOver(stores), { target: own }, {})
  }
  contents = await contentsOf(stores)
  await using foreign = await TestRegistry.open()
  await push(foreign, 'foreign')
  await backup(applianceOver(foreign), { target: join(scratch.path, 'foreign') }, {})
})
after(async () => {
  await stores[Symbol.asyncDispose]()
  await scratch[Symbol.asyncDispose]()
})

async function push(registry: TestRegistry, tag: string): Promise<void> {
  await registry.pushEmptyConfig('team/app')
  const layers = [shared, randomBytes(3000, tag)]
  for (const layer of layers) {
    await registry.pushBlob('team/app', layer)
  }
  await registry.pushManifest(
    'team/app',
    tag,
    imageManifest({ layers: layers.map(layer => descriptorOf(layer)), annotations: { tag } }),
  )
}

type Damage =
  | { kind: 'delete' | 'swap' | 'renumber' | 'duplicate' | 'foreign' | 'list'; file: number }
  | { kind: 'truncate' | 'flip' | 'overwrite' | 'append' | 'insert'; file: number; at: number }

const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constantFrom('delete', 'swap', 'renumber', 'duplicate', 'foreign', 'list'), file: fc.nat(3) }),
  fc.record({
    kind: fc.constantFrom('truncate', 'flip', 'overwrite', 'append', 'insert'),
    file: fc.nat(3),
    at: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), fc.nat(200)),
  }),
)

async function damaged(directory: string, step: Damage): Promise<void> {
  const names = (await readdir(directory)).filter(name => name.endsWith('.car')).sort()
  const name = names[step.file % names.length]
  if (name === undefined) {
    return
  }
  const file = join(directory, name)
  const other = join(directory, names[(step.file + 1) % names.length]!)
  const next = `${String(names.length + 3).padStart(6, '0')}-`
  switch (step.kind) {
    case 'delete':
      return await rm(file)
    case 'swap':
      await rename(file, `${file}.swap`)
      await rename(other, file)
      return await rename(`${file}.swap`, other)
    case 'renumber':
      return await rename(file, join(directory, `${next}${name.slice(7)}`))
    case 'duplicate':
      return await copyFile(file, join(directory, `${next}${name.slice(7)}`))
    case 'foreign': {
      const [foreign] = await readdir(join(scratch.path, 'foreign'))
      return await copyFile(join(scratch.path, 'foreign', foreign!), join(directory, `${next}${foreign!.slice(7)}`))
    }
    case 'list':
      return await writeFile(join(directory, 'backups.json'), '{"files":[')
    default:
      await writeFile(file, altered(await readFile(file), step))
  }
}

function altered(bytes: Buffer, { kind, at }: { kind: Damage['kind']; at: number }): Buffer {
  // small numbers are offsets: there is the header, and the first blocks
  const offset = Math.min(at < 1 ? Math.floor(at * bytes.length) : at, Math.max(0, bytes.length - 1))
  switch (kind) {
    case 'truncate':
      return bytes.subarray(0, offset)
    case 'flip':
      return bytes.length === 0
        ? Buffer.alloc(1)
        : Buffer.concat([
            bytes.subarray(0, offset),
            Buffer.from([bytes[offset]! ^ (1 << (offset % 8))]),
            bytes.subarray(offset + 1),
          ])
    case 'overwrite':
      return Buffer.concat([bytes.subarray(0, offset), randomBytes(100, 'over'), bytes.subarray(offset + 100)])
    case 'insert':
      return Buffer.concat([bytes.subarray(0, offset), Buffer.alloc(1), bytes.subarray(offset)])
    default:
      return Buffer.concat([bytes, randomBytes(50, 'appended')])
  }
}

async function digestsIn(directory: string): Promise<string> {
  const names = (await readdir(directory)).sort()
  return (await Promise.all(names.map(async name => `${name} ${sha256(await readFile(join(directory, name)))}`))).join(
    '\n',
  )
}

test('a directory that is damaged at random is mended by the next backup, and a check says so', {
  timeout: 5 * minute,
}, async () => {
  const untouched = await digestsIn(join(scratch.path, 'own'))
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { maxLength: 3 }), async steps => {
      const target = join(scratch.path, `run-${runs++}`)
      await cp(join(scratch.path, 'own'), target, { recursive: true })
      for (const step of steps) {
        await damaged(target, step)
      }
      const isDamaged = (await digestsIn(target)) !== untouched
      const verified = async (): Promise<unknown[]> => (await verifyBackup(target, [], {})).problems
      assert.equal((await verified()).length > 0, isDamaged, 'before')

      const result = await backup(applianceOver(stores), { target }, {})
      assert.equal(result.problems.length > 0, isDamaged)
      assert.deepEqual(await verified(), [], 'after')
      await using other = await TestRegistry.open()
      await restore(applianceOver(other), { sources: [target] }, {})
      assert.deepEqual(await contentsOf(other), contents)
      const again = await backup(applianceOver(stores), { target }, {})
      assert.deepEqual(
        { file: again.file, problems: again.problems, lost: again.lost },
        { file: undefined, problems: [], lost: [] },
      )
      await rm(target, { recursive: true })
    }),
    { numRuns: Number(process.env.BACKUP_RUNS ?? 60) },
  )
})
