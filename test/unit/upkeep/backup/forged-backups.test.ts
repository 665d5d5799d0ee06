/** A backup of a stranger: it is refused with a reason, and the registry is as empty as before */
import { trusted } from '../../../../src/access/caller.ts'
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { asyncIterableReader } from '@ipld/car/decoder'
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { encodeCar } from '../../../../src/ipfs/car/car.ts'
import type { DirectoryEntry } from '../../../../src/ipfs/content-store.ts'
import type { Block } from '../../../../src/ipfs/blocks/block.ts'
import { directoryBlock, encodeFileNode, hashBlock } from '../../../../src/ipfs/dag/encode-node.ts'

import type { RestoreResult } from '../../../../src/upkeep/backup/restorer.ts'
import { restorer } from '../../../fixtures/backups.ts'
import { contentsOf } from '../../../fixtures/contents.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, imageManifest, ociIndex, ociManifest } from '../../../fixtures/manifests.ts'
import { readAll, TestRegistry } from '../../../fixtures/registry.ts'

const signal = new AbortController().signal
const layer = randomBytes(1024 * 1024 + 5, 'layer')
const manifest = imageManifest({ layers: [descriptorOf(layer)] })

type Line = Record<string, unknown> | string

interface Repository {
  name: string
  lines: Line[]
  manifests: DirectoryEntry[]
  blobs: DirectoryEntry[]
}

interface Forgery {
  format: string
  repositories: Repository[]
  /** Further blocks in the CAR */
  blocks: Block[]
  /** In its header, instead of the root of all this */
  root?: CID
}

let stores: TestRegistry
let other: TestRegistry

beforeEach(async () => {
  stores = await TestRegistry.open()
  other = await TestRegistry.open()
  await stores.pushEmptyConfig('a')
  await stores.pushBlob('a', layer)
  await stores.pushManifest('a', 'v1', manifest)
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
  await other[Symbol.asyncDispose]()
})

/** What a backup of the registry would have, to be changed */
async function honest(): Promise<Forgery> {
  const lines: Line[] = []
  const manifests: DirectoryEntry[] = []
  const blobs: DirectoryEntry[] = []
  await using snapshot = stores.index.snapshot()
  for await (const {
    digest,
    record: { mediaType, root, updated },
  } of snapshot.manifests('a')) {
    lines.push({ manifest: digest, mediaType, root, updated })
    manifests.push({ name: digest, content: { cid: root, size: 0, dagSize: 1 } })
  }
  for await (const { digest, record } of snapshot.blobs('a')) {
    lines.push({ blob: digest, ...record })
    blobs.push({ name: digest, content: record })
  }
  for await (const { tag, record } of snapshot.tags('a')) {
    lines.push({ tag, ...record })
  }
  return { format: '1\n', repositories: [{ name: 'a', lines, manifests, blobs }], blocks: [] }
}

async function carOf({ format, repositories, blocks, root }: Forgery): Promise<Buffer> {
  const { content, blockstore } = stores
  for (const { cid, bytes } of blocks.filter(({ cid }) => cid.multihash.code !== 0)) {
    await blockstore.put(cid, bytes)
  }
  const entries: DirectoryEntry[] = []
  for (const { name, lines, manifests, blobs } of repositories) {
    const records = lines.map(line => (typeof line === 'string' ? line : `${JSON.stringify(line)}\n`)).join('')
    entries.push({
      name,
      content: (
        await directory([
          { name: 'records', content: await content.add(Buffer.from(records)) },
          { name: 'manifests', content: (await directory(manifests)).content },
          { name: 'blobs', content: (await directory(blobs)).content },
        ])
      ).content,
    })
  }
  const top = await directory([
    { name: 'ipdr-backup', content: await content.add(Buffer.from(format)) },
    { name: 'repositories', content: (await directory(entries)).content },
  ])
  const below = async function* (): AsyncGenerator<Block> {
    const seen = new Set<string>()
    for (const block of blocks) {
      seen.add(block.cid.toString())
      yield block
    }
    const left = [top.cid]
    for (let cid = left.pop(); cid !== undefined; cid = left.pop()) {
      if (!seen.has(cid.toString()) && cid.multihash.code === 0x12 && (await blockstore.has(cid))) {
        seen.add(cid.toString())
        const bytes = await blockstore.read(cid)
        yield { cid, bytes }
        left.push(...(cid.code === dagPb.code ? dagPb.decode(bytes).Links.map(({ Hash: hash }) => hash) : []))
      }
    }
  }
  return await readAll(encodeCar((root ?? top.cid).toString(), below()))
}

/** Other than in the content store, a name may be there twice */
async function directory(entries: readonly DirectoryEntry[]): ReturnType<typeof directoryBlock> {
  const block = await directoryBlock(entries)
  await stores.blockstore.put(block.cid, block.bytes)
  return block
}

async function node(links: readonly { cid: CID; size: number; dagSize?: number }[]): Promise<Block & { cid: CID }> {
  const bytes = encodeFileNode(links.map(({ cid, size, dagSize = size }) => ({ cid, size, dagSize })))
  return { cid: await hashBlock(dagPb.code, bytes), bytes }
}

async function blockOf(bytes: Uint8Array, codec: number = raw.code): Promise<Block> {
  return { cid: await hashBlock(codec, bytes), bytes }
}

function identityCid(bytes: Uint8Array, codec: number = raw.code): CID {
  return CID.createV1(codec, createMultihash(0, bytes))
}

async function restore(car: Buffer): Promise<RestoreResult> {
  return await restorer(other).restore(
    asyncIterableReader(
      (async function* () {
        yield car
      })(),
    ),
    { signal },
  )
}

function linesFor<Key extends string>(forgery: Forgery, key: Key): Record<string, unknown>[] {
  return forgery.repositories[0]!.lines.filter(
    (line): line is Record<string, unknown> => typeof line !== 'string' && key in line,
  )
}

/** Puts a file in the place of the layer, in the records and in the directory */
function replaceLayer(forgery: Forgery, cid: CID, record: Record<string, unknown> = {}): void {
  Object.assign(linesFor(forgery, 'blob').find(({ blob }) => blob === sha256(layer))!, {
    cid: cid.toString(),
    ...record,
  })
  forgery.repositories[0]!.blobs.find(({ name }) => name === sha256(layer))!.content.cid = cid.toString()
}

/** Puts a file in the place of the layer that has its bytes, and says that one of its parts has 100 more */
async function replaceBySparse(forgery: Forgery, size: number): Promise<void> {
  const [first, second] = [await blockOf(layer.subarray(0, 1000)), await blockOf(layer.subarray(1000))]
  const part = await node([{ cid: second.cid, size: layer.byteLength - 1000 }])
  const file = await node([
    { cid: first.cid, size: 1000 },
    { cid: part.cid, size: layer.byteLength - 1000 + 100 },
  ])
  forgery.blocks.push(first, second, part, file)
  replaceLayer(forgery, file.cid, { size })
}

/** Puts a directory in the place of the image root */
function replaceRoot(forgery: Forgery, cid: string): void {
  linesFor(forgery, 'manifest')[0]!.root = cid
  forgery.repositories[0]!.manifests[0]!.content.cid = cid
}

const cases: Record<string, [change: (forgery: Forgery) => Promise<void> | void, reason: RegExp]> = {
  'a size of a blob that is too small': [
    forgery => {
      linesFor(forgery, 'blob').at(-1)!.size = 1
    },
    /does not have the 1 bytes of sha256:/,
  ],
  'a size of a blob that is too large': [
    forgery => {
      linesFor(forgery, 'blob').at(-1)!.size = 2 ** 50
    },
    /does not have the \d+ bytes of sha256:/,
  ],
  'a size of a file that has less, as its record says': [
    async forgery => {
      await replaceBySparse(forgery, layer.byteLength + 100)
    },
    /.+/,
  ],
  'a file that says that it has more': [
    async forgery => {
      await replaceBySparse(forgery, layer.byteLength)
    },
    /.+/,
  ],
  'another size in another repository': [
    forgery => {
      const lines = forgery.repositories[0]!.lines.map(line =>
        typeof line === 'object' && 'blob' in line ? { ...line, size: 1 } : line,
      )
      forgery.repositories.push({ ...forgery.repositories[0]!, name: 'b', lines })
    },
    /does not have the 1 bytes of sha256:/,
  ],
  'a size that is no number': [
    forgery => {
      linesFor(forgery, 'blob')[0]!.size = '5'
    },
    /a malformed record/,
  ],
  'a size below zero': [
    forgery => {
      linesFor(forgery, 'blob')[0]!.size = -1
    },
    /a malformed record/,
  ],
  'a blob record that is no CID': [
    forgery => {
      linesFor(forgery, 'blob')[0]!.cid = 'nonsense'
    },
    /a record of sha256:\w+ with a CID that it does not link to/,
  ],
  'a manifest record that is no CID': [
    forgery => {
      linesFor(forgery, 'manifest')[0]!.root = '../../x'
    },
    /a CID that it does not link to/,
  ],
  'a blob that is another one': [
    async forgery => {
      replaceLayer(forgery, CID.parse((await stores.content.add(Buffer.alloc(layer.byteLength))).cid))
    },
    /bytes that do not match sha256:/,
  ],
  'a root that is no image root': [
    async forgery => {
      replaceRoot(forgery, (await stores.content.add(Buffer.from('x'))).cid)
    },
    /no image root of the manifest sha256:/,
  ],
  'a root of another image': [
    async forgery => {
      const { root } = await stores.pushManifest('a', 'v1', imageManifest({ annotations: { other: 'image' } }))
      await stores.pushManifest('a', 'v1', manifest)
      await stores
        .repository('a')
        .deleteManifest({ digest: sha256(imageManifest({ annotations: { other: 'image' } })) })
      replaceRoot(forgery, root)
    },
    /no image root of the manifest sha256:/,
  ],
  'a manifest of another media type': [
    forgery => {
      linesFor(forgery, 'manifest')[0]!.mediaType = ociIndex
    },
    /invalid manifest .*: is application.* but the Content-Type is/,
  ],
  'a manifest that is none': [
    async forgery => {
      const text = Buffer.from('[]')
      const root = await directory([
        {
          name: 'manifests',
          content: (await directory([{ name: sha256(text), content: await stores.content.add(text) }])).content,
        },
      ])
      forgery.repositories[0]!.lines = [{ manifest: sha256(text), mediaType: ociManifest, root: root.cid.toString() }]
      forgery.repositories[0]!.manifests = [{ name: sha256(text), content: root.content }]
    },
    /invalid manifest sha256:\w+ of a: is not a JSON object/,
  ],
  'a tag of a manifest that is not there': [
    forgery => {
      linesFor(forgery, 'tag')[0]!.digest = sha256(Buffer.from('x'))
    },
    /a tag v1 of a manifest that it lacks/,
  ],
  'a tag that comes before its manifest': [
    forgery => {
      forgery.repositories[0]!.lines.reverse()
    },
    /a tag v1 of a manifest that it lacks/,
  ],
  'a tag twice': [
    forgery => {
      forgery.repositories[0]!.lines.push(linesFor(forgery, 'tag')[0]!)
    },
    /two records of v1/,
  ],
  'a tag without a date': [
    forgery => {
      delete linesFor(forgery, 'tag')[0]!.updated
    },
    /a malformed record/,
  ],
  'a manifest twice': [
    forgery => {
      forgery.repositories[0]!.lines.push(linesFor(forgery, 'manifest')[0]!)
    },
    /two records of sha256:/,
  ],
  'a repository twice': [
    forgery => {
      forgery.repositories.push(forgery.repositories[0]!)
    },
    /the repository a twice/,
  ],
  'a repository twice, in two spellings': [
    forgery => {
      forgery.repositories = ['x:y', 'x/y'].map(name => ({ ...forgery.repositories[0]!, name }))
    },
    /without a valid name|x\/y twice/,
  ],
  'a repository whose name is none': [
    forgery => {
      forgery.repositories[0]!.name = '../a'
    },
    /without a valid name/,
  ],
  'a record that is no object': [
    forgery => {
      forgery.repositories[0]!.lines.push('null\n')
    },
    /a malformed record/,
  ],
  'a record that is no JSON': [
    forgery => {
      forgery.repositories[0]!.lines.push('{"tag"\n')
    },
    /not JSON/,
  ],
  'a record that is two': [
    forgery => {
      Object.assign(linesFor(forgery, 'tag')[0]!, { blob: 'x', tag: 'a b' })
    },
    /a malformed record/,
  ],
  'a record without end': [
    forgery => {
      forgery.repositories[0]!.lines.push(`{"tag":"${'x'.repeat(3 * 1024 * 1024)}"}\n`)
    },
    /a record of more than 65536 bytes/,
  ],
  'a record that is cut short': [
    forgery => {
      forgery.repositories[0]!.lines.push('{}')
    },
    /cut short/,
  ],
  'another format': [
    forgery => {
      forgery.format = '2\n'
    },
    /has format 2/,
  ],
  'a long format': [
    forgery => {
      forgery.format = 'x'.repeat(3000)
    },
    /not a backup of a registry/,
  ],
  'a root that is a blob': [
    async forgery => {
      forgery.root = (await blockOf(layer.subarray(0, 100))).cid
    },
    /incomplete|not a backup of a registry/,
  ],
  'a root that is written in its CID': [
    forgery => {
      forgery.root = identityCid(new UnixFS({ type: 'directory' }).marshal(), dagPb.code)
    },
    /its root .* has the hash function 0x0/,
  ],
  'a root that is written in its long CID': [
    forgery => {
      forgery.root = identityCid(Buffer.alloc(600), dagPb.code)
    },
    /its root .* has the hash function 0x0/,
  ],
  'a root of another codec': [
    async forgery => {
      forgery.root = await hashBlock(0x71, Buffer.from('x'))
    },
    /its root .* has the codec 0x71/,
  ],
  'a block that is too large': [
    async forgery => {
      forgery.blocks.push(await blockOf(Buffer.alloc(4 * 1024 * 1024 + 1)))
    },
    /has 4194305 bytes|too many|damaged/,
  ],
  'a block that is another': [
    async forgery => {
      forgery.blocks.push({ ...(await blockOf(Buffer.from('x'))), bytes: Buffer.from('y') })
    },
    /does not match its CID/,
  ],
  'a block in its CID': [
    forgery => {
      forgery.blocks.push({ cid: identityCid(Buffer.alloc(300)), bytes: Buffer.alloc(300) })
    },
    /the hash function 0x0/,
  ],
  'a block of another codec': [
    async forgery => {
      forgery.blocks.push(await blockOf(Buffer.from('{}'), 0x0200))
    },
    /the codec 0x200/,
  ],
  'a file that claims more than it has': [
    async forgery => {
      const leaf = await blockOf(layer.subarray(0, 1000))
      const claims = await node([{ cid: leaf.cid, size: 2 ** 50 }])
      forgery.blocks.push(leaf, claims)
      replaceLayer(forgery, claims.cid, { size: 2 ** 50 })
    },
    /.+/,
  ],
  'a file with a part that is nowhere': [
    async forgery => {
      const [first, second, gone] = [
        await blockOf(layer.subarray(0, 1000)),
        await blockOf(layer.subarray(1000)),
        await blockOf(Buffer.from('nowhere')),
      ]
      const file = await node([
        { cid: first.cid, size: 1000 },
        { cid: second.cid, size: layer.byteLength - 1000 },
        { cid: gone.cid, size: 0 },
      ])
      forgery.blocks.push(first, second, file)
      replaceLayer(forgery, file.cid)
    },
    /.+/,
  ],
  'a node that is none': [
    async forgery => {
      const nothing = await blockOf(Buffer.from('nonsense'), dagPb.code)
      forgery.blocks.push(nothing)
      replaceLayer(forgery, nothing.cid)
    },
    /.+/,
  ],
  'a link with a long multihash': [
    async forgery => {
      const file = await node([
        { cid: CID.createV1(dagPb.code, createMultihash(0x12, Buffer.alloc(300))), size: layer.byteLength },
      ])
      forgery.blocks.push(file)
      replaceLayer(forgery, file.cid)
    },
    /.+/,
  ],
  'a directory of shards that is none': [
    async forgery => {
      const shard = await blockOf(
        dagPb.encode({
          Data: new UnixFS({ type: 'hamt-sharded-directory', fanout: 7n, hashType: 1n }).marshal(),
          Links: [],
        }),
        dagPb.code,
      )
      forgery.blocks.push(shard)
      replaceRoot(forgery, shard.cid.toString())
    },
    /.+/,
  ],
}

describe('a forged backup', () => {
  it('that is none is restored', async () => {
    await restore(await carOf(await honest()))
    assert.deepEqual(await contentsOf(other), await contentsOf(stores))
  })

  for (const [what, [change, reason]] of Object.entries(cases)) {
    it(`with ${what} is refused`, async () => {
      const forgery = await honest()
      await change(forgery)
      const error = await restore(await carOf(forgery)).then(
        () => undefined,
        (err: unknown) => err as { code?: string; status?: number; detail?: { reason: string } },
      )
      assert.equal(error?.code, 'REQUEST_INVALID', JSON.stringify(error) ?? 'it was taken')
      assert.match(error.detail!.reason, reason)
      assert.deepEqual(await other.registry.repositories({ limit: 1, last: undefined }, trusted), {
        items: [],
        more: false,
      })
      // whatever it left does not harm the next
      await restore(await carOf(await honest()))
      assert.deepEqual(await contentsOf(other), await contentsOf(stores))
    })
  }

  it('with a wrong size of a DAG gets the right one', async () => {
    const forgery = await honest()
    linesFor(forgery, 'blob').forEach(line => {
      line.dagSize = 2 ** 52
    })
    await restore(await carOf(forgery))
    assert.deepEqual(await contentsOf(other), await contentsOf(stores))
  })
})
