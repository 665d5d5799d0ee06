import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { identity } from 'multiformats/hashes/identity'
import { blockKey, BlockSet } from '../../../../src/ipfs/blocks/block-set.ts'
import { blocksBelow } from '../../../../src/ipfs/dag/blocks-below.ts'
import { requireBlocks } from '../../../../src/ipfs/dag/complete-dags.ts'
import { BufferPool } from '../../../../src/ipfs/blocks/buffer-pool.ts'
import { hashBlock, leafSize } from '../../../../src/ipfs/dag/encode-node.ts'
import { DagChecker } from '../../../../src/ipfs/dag/dag-checker.ts'
import { maxInlineBytes } from '../../../../src/ipfs/blocks/block-cid.ts'
import { dagLimits } from '../../../../src/ipfs/dag/dag-limits.ts'
import { DagReader } from '../../../../src/ipfs/content/dag-reader.ts'
import { walkNodes } from '../../../../src/ipfs/dag/dag-walk.ts'
import { inlineHasher } from '../../../../src/ipfs/hashing/hasher.ts'
import { Marker } from '../../../../src/ipfs/dag/marker.ts'
import { missingBlocks } from '../../../../src/ipfs/dag/missing-blocks.ts'
import { RateLimit } from '../../../../src/scheduling/rate-limit.ts'
import { DagBlocks } from '../../../fixtures/dag-blocks.ts'
import { readAll } from '../../../fixtures/registry.ts'

interface Root {
  cid: CID
  isFile: boolean
}
type User = (blocks: DagBlocks, root: Root) => Promise<unknown>

const checker = (files: DagBlocks): DagChecker =>
  new DagChecker({ files, hasher: inlineHasher, rate: new RateLimit(Infinity), onChecked: () => {} })
const reader = (blocks: DagBlocks): DagReader =>
  new DagReader({ blocks, buffers: new BufferPool(leafSize, 4) }, { readAhead: 2 })

/** The keys of those blocks in the store that are in a set */
const keysIn = async (blocks: DagBlocks, set: BlockSet): Promise<Set<string>> =>
  new Set(
    (await Array.fromAsync(blocks.list()))
      .filter(({ multihash }) => set.has(blockKey(multihash.digest)))
      .map(DagBlocks.key),
  )

/** Those who read nodes and no leaves, with the blocks that they found */
const nodeUsers: Record<string, (blocks: DagBlocks, root: Root) => Promise<BlockSet | undefined>> = {
  'marks it': async (blocks, { cid }) => {
    const marker = new Marker({ blockstore: blocks })
    await marker.mark(cid.toString())
    assert.equal(marker.missing.size, 0)
    return marker.marked
  },
  'marks it twice': async (blocks, { cid }) => {
    const marker = new Marker({ blockstore: blocks })
    await marker.mark(cid.toString())
    await marker.mark(cid.toString())
    return marker.marked
  },
  'looks what is unmarked': async (blocks, { cid }) => {
    const marker = new Marker({ blockstore: blocks })
    const { mark } = await marker.unmarked(cid.toString())
    mark()
    return marker.marked
  },
  'looks whether all is here': async (blocks, { cid }) => {
    await requireBlocks(blocks, cid.toString())
    return undefined
  },
  'looks what is missing': async (blocks, { cid }) => {
    assert.deepEqual(await missingBlocks(blocks, cid.toString()), [])
    return undefined
  },
}

/** Those who read leaves, too */
const leafUsers: Record<string, (blocks: DagBlocks, root: Root) => Promise<BlockSet | Uint8Array | undefined>> = {
  'saves it': async (blocks, { cid }) => {
    const set = new BlockSet()
    for await (const {
      cid: { multihash },
    } of blocksBelow(blocks, cid.toString(), new BlockSet())) {
      assert.ok(set.add(blockKey(multihash.digest)), 'each once')
    }
    return set
  },
  'checks it': async (blocks, { cid }) => {
    assert.deepEqual(await checker(blocks).dag(cid.toString()), [])
    return undefined
  },
  'reads it': async (blocks, { cid, isFile }) =>
    isFile ? await readAll(reader(blocks).read(cid.toString())) : await eachFile(blocks, cid),
  'checks it as a file': async (blocks, { cid, isFile }) => {
    if (!isFile) {
      await eachFile(blocks, cid)
      return undefined
    }
    const { bad, size, digest } = await checker(blocks).file(cid.toString(), 'sha256')
    assert.deepEqual(bad, [])
    return Buffer.from(`${size} ${digest}`)
  },
}

/** Reads all files below a directory */
async function eachFile(blocks: DagBlocks, cid: CID): Promise<undefined> {
  for await (const entry of reader(blocks).list(cid.toString())) {
    const found = await reader(blocks).find(entry.cid, [])
    await (found?.type === 'file'
      ? readAll(reader(blocks).read(entry.cid))
      : found === undefined
        ? undefined
        : eachFile(blocks, CID.parse(entry.cid)))
  }
  return undefined
}

/** What is wrong with a DAG: `leaf`: only who reads leaves can know it */
type Fault = 'none' | 'leaf' | 'refused'

/** A part of a file, as it was made */
interface Made {
  cid: CID
  size: number
  bytes: Buffer
  keys: Set<string>
  fault: Fault
}

interface Part {
  bytes: Uint8Array
  isInline: boolean
  /** Undefined: a leaf */
  children: Part[] | undefined
  /** One of the parts made before in place of it */
  shared: number | undefined
  defect: string | undefined
}

const defects: Record<string, (blocks: DagBlocks, part: Made) => Promise<Made>> = {
  'a child of size 0': async (blocks, part) =>
    await over(blocks, [part, { ...part, cid: await blocks.leaf(Buffer.alloc(0)), size: 0, bytes: Buffer.alloc(0) }]),
  'a child of size 0 that is not there': async (blocks, part) =>
    await over(blocks, [
      part,
      { ...part, cid: await hashBlock(raw.code, Buffer.from('nowhere')), size: 0, bytes: Buffer.alloc(0) },
    ]),
  'a child of another size': async (blocks, part) =>
    await over(blocks, [{ ...(await over(blocks, [part])), size: part.size + 1 }]),
  'a child that it has twice, under two sizes': async (blocks, part) => {
    const child = await over(blocks, [part])
    return await over(blocks, [child, { ...child, size: child.size + 1 }])
  },
  'a leaf of another size': async (blocks, part) => {
    const bytes = Buffer.from(`leaf ${blocks.map.size}`)
    const cid = await blocks.leaf(bytes)
    const lie = { cid, size: bytes.length + 1, bytes, keys: new Set([DagBlocks.key(cid)]), fault: 'leaf' as const }
    return { ...(await over(blocks, [part, lie])), fault: part.fault === 'refused' ? 'refused' : 'leaf' }
  },
  'an inline leaf of another size': async (blocks, part) =>
    await over(blocks, [part, { ...part, cid: await blocks.leaf(Buffer.from('abc'), true), size: 4 }]),
  'more links than sizes': async (blocks, part) => await custom(blocks, part, { type: 'file', blockSizes: [] }),
  'more sizes than links': async (blocks, part) =>
    await custom(blocks, part, { type: 'file', blockSizes: [BigInt(part.size), 1n] }),
  'a size that is no number': async (blocks, part) =>
    await custom(blocks, part, { type: 'file', blockSizes: [2n ** 63n] }),
  'another file size': async (blocks, part) => {
    // the message ends with it, so the last one counts
    const data = Buffer.concat([
      new UnixFS({ type: 'file', blockSizes: [BigInt(part.size)] }).marshal(),
      Buffer.from([0x18, 0x7f, 0x7f].slice(0, 2)),
    ])
    return {
      ...part,
      size: part.size === 0x7f ? 1 : part.size,
      cid: await blocks.put(dagPb.code, dagPb.encode({ Data: data, Links: [{ Name: '', Hash: part.cid, Tsize: 0 }] })),
    }
  },
  'a symbolic link in it': async (blocks, part) =>
    await over(blocks, [
      { ...part, cid: await blocks.node({ type: 'symlink', data: Buffer.from('/etc/passwd') }), size: 11 },
    ]),
  'a directory in it': async (blocks, part) =>
    await over(blocks, [part, { ...part, cid: await blocks.node({ type: 'directory' }), size: 1 }]),
  'a node that is no UnixFS': async (blocks, part) =>
    await over(blocks, [{ ...part, cid: await blocks.put(dagPb.code, dagPb.encode({ Links: [] })), size: 1 }]),
  'a node that is garbage': async (blocks, part) =>
    await over(blocks, [{ ...part, cid: await blocks.put(dagPb.code, Buffer.from('garbage')), size: 1 }]),
  'a leaf of DAG-CBOR': async (blocks, part) =>
    await over(blocks, [part, { ...part, cid: await blocks.put(0x71, Buffer.from('a')), size: 1 }]),
  'a leaf by an unknown hash': async (blocks, part) =>
    await over(blocks, [
      part,
      { ...part, cid: CID.createV1(raw.code, createMultihash(0x1e, new Uint8Array(32))), size: 1 },
    ]),
  'a leaf by a part of a hash': async (blocks, part) =>
    await over(blocks, [
      part,
      { ...part, cid: CID.createV1(raw.code, createMultihash(0x12, new Uint8Array(16))), size: 1 },
    ]),
  'a leaf whose multihash has 300 bytes': async (blocks, part) =>
    await over(blocks, [
      part,
      { ...part, cid: CID.createV1(raw.code, createMultihash(0x12, new Uint8Array(300))), size: 1 },
    ]),
  'a large inline leaf': async (blocks, part) =>
    await over(blocks, [
      part,
      { ...part, cid: await blocks.leaf(new Uint8Array(maxInlineBytes + 1), true), size: maxInlineBytes + 1 },
    ]),
  'a leaf that is too large': async (blocks, part) =>
    await over(blocks, [part, { ...part, cid: await blocks.leaf(Buffer.from('a')), size: dagLimits.blockBytes + 1 }]),
  'too many nodes above it': async (blocks, part) => await chain(blocks, part, dagLimits.depth + 1),
  'too many links': async (blocks, part) =>
    await over(
      blocks,
      Array<Made>(dagLimits.links + 1).fill({ ...part, cid: await blocks.leaf(Buffer.from('a'), true), size: 1 }),
    ),
}

async function over(blocks: DagBlocks, parts: Made[], data?: Buffer, isInline = false): Promise<Made> {
  const cid = await blocks.file(parts, data, isInline)
  const faults = parts.map(({ fault, size }): Fault => (size === 0 ? 'refused' : fault))
  return {
    cid,
    size: parts.reduce((total, { size }) => total + size, data?.byteLength ?? 0),
    bytes: Buffer.concat([data ?? Buffer.alloc(0), ...parts.map(({ bytes }) => bytes)]),
    keys: new Set([...parts.flatMap(({ keys }) => [...keys]), ...(isInline ? [] : [DagBlocks.key(cid)])]),
    fault: faults.includes('refused') ? 'refused' : faults.includes('leaf') ? 'leaf' : 'none',
  }
}

async function custom(blocks: DagBlocks, part: Made, init: ConstructorParameters<typeof UnixFS>[0]): Promise<Made> {
  return { ...part, cid: await blocks.node(init, [part.cid]) }
}

async function chain(blocks: DagBlocks, part: Made, length: number): Promise<Made> {
  let made = part
  for (let i = 0; i < length; i++) {
    made = await over(blocks, [made])
  }
  return made
}

/** Nodes over each other that are as large as may be; their bytes are not noted */
async function heavy(blocks: DagBlocks, part: Made, length: number, filler: Buffer): Promise<Made> {
  let made = part
  for (let i = 0; i < length; i++) {
    made = { ...(await over(blocks, [made], filler)), bytes: Buffer.alloc(0) }
  }
  return made
}

async function make(blocks: DagBlocks, part: Part, pool: Made[]): Promise<Made> {
  const shared = part.shared === undefined ? undefined : pool[part.shared % Math.max(1, pool.length)]
  let made = shared ?? (await makePart(blocks, part, pool))
  if (part.defect !== undefined && made.size > 0) {
    const broken = await defects[part.defect]!(blocks, made)
    made = { ...broken, fault: part.defect === 'a leaf of another size' ? broken.fault : 'refused' }
  }
  pool.push(made)
  return made
}

async function makePart(blocks: DagBlocks, { bytes, isInline, children }: Part, pool: Made[]): Promise<Made> {
  if (children === undefined) {
    const cid = await blocks.leaf(bytes, isInline)
    return {
      cid,
      size: bytes.byteLength,
      bytes: Buffer.from(bytes),
      keys: new Set(isInline ? [] : [DagBlocks.key(cid)]),
      fault: 'none',
    }
  }
  const parts: Made[] = []
  for (const child of children) {
    parts.push(await make(blocks, child, pool))
  }
  // what lies in a CID may not have much
  return await over(
    blocks,
    parts,
    bytes.byteLength === 0 ? undefined : Buffer.from(bytes),
    isInline && parts.length < 2 && parts.every(({ cid }) => cid.bytes.byteLength < 40),
  )
}

const rarely = <T>(value: fc.Arbitrary<T>, weight = 6): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value })
const { part } = fc.letrec<{ part: Part }>(tie => ({
  part: fc.record({
    // small numbers, so that parts have bytes in common
    bytes: fc.uint8Array({ minLength: 1, maxLength: 3, max: 2 }),
    isInline: fc.boolean(),
    children: fc.option(fc.array(tie('part'), { maxLength: 4 }), { nil: undefined, maxDepth: 4 }),
    shared: rarely(fc.nat(20), 3),
    defect: rarely(fc.constantFrom(...Object.keys(defects)), 15),
  }),
}))

/** As a root, or in a directory that is sharded or not */
async function makeRoot(
  blocks: DagBlocks,
  file: Made,
  kind: string,
): Promise<Root & Pick<Made, 'keys' | 'fault' | 'bytes'>> {
  if (kind === 'file') {
    return { ...file, isFile: true }
  }
  const link = await blocks.node({ type: 'symlink', data: Buffer.from('file') })
  const shard = { type: 'hamt-sharded-directory', hashType: 0x22n, fanout: 256n } as const
  const inner = await blocks.node(shard, [{ cid: file.cid, name: '0Afile' }])
  const cid =
    kind === 'directory'
      ? await blocks.node({ type: 'directory' }, [
          { cid: file.cid, name: 'file' },
          { cid: link, name: 'link' },
        ])
      : await blocks.node(shard, [
          { cid: inner, name: '01' },
          { cid: link, name: '02link' },
        ])
  return {
    cid,
    isFile: false,
    bytes: file.bytes,
    fault: file.fault,
    keys: new Set([
      ...file.keys,
      DagBlocks.key(cid),
      DagBlocks.key(link),
      ...(kind === 'shard' ? [DagBlocks.key(inner)] : []),
    ]),
  }
}

async function outcome(user: User, blocks: DagBlocks, root: Root): Promise<unknown> {
  try {
    return await user(blocks, root)
  } catch (err) {
    assert.equal((err as Error).name, 'RefusedDagError', (err as Error).stack)
    return 'refused'
  }
}

describe('a DAG of whatever shape', () => {
  it('is the same for all who walk it', async () => {
    const seen = { none: 0, leaf: 0, refused: 0 }
    await fc.assert(
      fc.asyncProperty(part, fc.constantFrom('file', 'directory', 'shard'), async (spec, kind) => {
        const blocks = new DagBlocks()
        const { fault, keys, bytes, ...root } = await makeRoot(blocks, await make(blocks, spec, []), kind)
        seen[fault]++
        for (const [name, user] of Object.entries(nodeUsers)) {
          const found = await outcome(user, blocks, root)
          assert.equal(found === 'refused', fault === 'refused', `${name}: ${fault}`)
          assert.deepEqual(found instanceof BlockSet ? await keysIn(blocks, found) : keys, keys, name)
        }
        for (const [name, user] of Object.entries(leafUsers)) {
          const found = await outcome(user, blocks, root)
          assert.equal(found === 'refused', fault !== 'none', `${name}: ${fault}`)
          assert.deepEqual(found instanceof BlockSet ? await keysIn(blocks, found) : keys, keys, name)
          if (name === 'reads it' && found instanceof Uint8Array) {
            assert.deepEqual(Buffer.from(found), bytes)
          }
        }
      }),
      { numRuns: 300 },
    )
    assert.ok(seen.none > 50 && seen.refused > 20, JSON.stringify(seen))
  })

  for (const [what, make] of Object.entries(defects)) {
    it(`with ${what} is refused by all`, async () => {
      const blocks = new DagBlocks()
      const bytes = Buffer.from('part')
      const cid = await blocks.leaf(bytes)
      const made = await make(blocks, { cid, size: bytes.length, bytes, keys: new Set(), fault: 'none' })
      const isOfLeaf = what === 'a leaf of another size'
      for (const [name, user] of [...Object.entries(isOfLeaf ? {} : nodeUsers), ...Object.entries(leafUsers)]) {
        assert.equal(await outcome(user, blocks, { cid: made.cid, isFile: true }), 'refused', name)
      }
      assert.equal(await reader(blocks).canonical(made.cid.toString()), undefined)
    })
  }

  it('may be as deep as a DAG may be, and each node of it has many ways to it', async () => {
    const blocks = new DagBlocks()
    let made: Made = {
      cid: await blocks.leaf(Buffer.from('a')),
      size: 1,
      bytes: Buffer.alloc(0),
      keys: new Set(),
      fault: 'none',
    }
    // ipfs-unixfs writes no sizes from 2 GiB
    for (let i = 0; i < 20; i++) {
      made = await over(blocks, [made, made])
    }
    const deep = await chain(blocks, made, dagLimits.depth - 20)
    for (const [name, user] of Object.entries(nodeUsers)) {
      blocks.reads.length = 0
      assert.notEqual(await outcome(user, blocks, { cid: deep.cid, isFile: true }), 'refused', name)
      assert.ok(blocks.reads.length <= dagLimits.depth + 1, name)
    }
    // the first way down is a short one, on which the rest is walked
    const long = await over(blocks, [made, await chain(blocks, made, dagLimits.depth - 20)])
    for (const [name, user] of Object.entries(nodeUsers)) {
      assert.equal(await outcome(user, blocks, { cid: long.cid, isFile: true }), 'refused', name)
    }
  })

  it('has no more on one way down than fits into memory', async () => {
    const blocks = new DagBlocks()
    const filler = Buffer.alloc(dagLimits.blockBytes - 200)
    let made: Made = {
      cid: await blocks.leaf(Buffer.from('a')),
      size: 1,
      bytes: Buffer.alloc(0),
      keys: new Set(),
      fault: 'none',
    }
    const most = dagLimits.pathWeight / (dagLimits.blockBytes / 1024)
    made = await heavy(blocks, made, most, filler)
    assert.equal(
      (await outcome(nodeUsers['marks it']!, blocks, { cid: made.cid, isFile: true })) instanceof BlockSet,
      true,
    )
    // the lighter way down comes first
    const light = await over(blocks, [made])
    assert.equal(await outcome(nodeUsers['marks it']!, blocks, { cid: light.cid, isFile: true }), 'refused')
    const part = {
      cid: await blocks.leaf(Buffer.from('b')),
      size: 1,
      bytes: Buffer.alloc(0),
      keys: new Set<string>(),
      fault: 'none' as const,
    }
    const half = await heavy(blocks, part, most / 2 + 1, filler)
    const twice = await over(blocks, [half, await heavy(blocks, half, most / 2 - 1, filler)])
    assert.equal(await outcome(nodeUsers['marks it']!, blocks, { cid: twice.cid, isFile: true }), 'refused')
    const more = await over(blocks, [made], filler)
    assert.equal(await outcome(nodeUsers['marks it']!, blocks, { cid: more.cid, isFile: true }), 'refused')
    assert.equal(await outcome(leafUsers['reads it']!, blocks, { cid: more.cid, isFile: true }), 'refused')
  })
})

describe('a walk', () => {
  it('goes on where a node is not here, and tells that the ones above are not whole', async () => {
    const blocks = new DagBlocks()
    const here = await blocks.file([{ cid: await blocks.leaf(Buffer.from('a')), size: 1 }])
    const missing = await blocks.file([{ cid: await blocks.leaf(Buffer.from('bc')), size: 2 }])
    blocks.map.delete(DagBlocks.key(missing))
    const root = await blocks.file([
      { cid: missing, size: 2 },
      { cid: here, size: 1 },
    ])
    const load = async (cid: CID): Promise<Uint8Array | undefined> => blocks.map.get(DagBlocks.key(cid))
    const walked = await Array.fromAsync(walkNodes(root, { load }))
    assert.deepEqual(
      walked.map(({ cid, isWhole }) => [cid.toString(), isWhole]),
      [
        [root.toString(), false],
        [here.toString(), true],
      ],
    )
  })

  it('is not led in a circle by who delivers other blocks than it asks for', async () => {
    const blocks = new DagBlocks()
    const own = await hashBlock(dagPb.code, Buffer.from('own'))
    const bytes = dagPb.encode({
      Data: new UnixFS({ type: 'directory' }).marshal(),
      Links: [{ Name: 'own', Hash: own, Tsize: 0 }],
    })
    blocks.map.set(DagBlocks.key(own), bytes)
    await assert.rejects(Array.fromAsync(walkNodes(own, { load: blocks.read })), {
      name: 'RefusedDagError',
      message: /below itself/,
    })
  })

  it('ends with a signal', async () => {
    const blocks = new DagBlocks()
    const root = await blocks.node({ type: 'directory' })
    await assert.rejects(Array.fromAsync(walkNodes(root, { load: blocks.read, signal: AbortSignal.abort() })), {
      name: 'AbortError',
    })
  })

  it('takes an inline block for what it is, wherever it lies', async () => {
    const blocks = new DagBlocks()
    const leaf = await blocks.leaf(Buffer.from('outside'))
    const inline = await blocks.node({ type: 'directory' }, [{ cid: leaf, name: 'leaf' }], true)
    assert.equal(inline.multihash.code, identity.code)
    assert.deepEqual(await missingBlocks(blocks, inline.toString()), [])
    assert.deepEqual(
      (await Array.fromAsync(blocksBelow(blocks, inline.toString(), new BlockSet()))).map(({ cid }) => cid.toString()),
      [leaf.toString()],
    )
    assert.deepEqual(await Array.fromAsync(reader(blocks).list(inline.toString())), [
      { name: 'leaf', cid: leaf.toString() },
    ])
    assert.equal(
      String(
        await readAll(
          reader(blocks).read((await blocks.leaf(Buffer.from('inside'), true)).toString(), { start: 2, end: 4 }),
        ),
      ),
      'sid',
    )
  })
})
