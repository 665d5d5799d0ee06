import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { UncheckedBlocks } from '../../src/ipfs/blockstore/unchecked-blocks.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { FsckResult } from '../../src/upkeep/fsck/fsck.ts'
import { nodeAddress } from '../fixtures/connect-all.ts'
import { damages } from '../fixtures/damage.ts'
import { ociConfig, ociIndex, ociLayer, ociManifest, randomBytes, sha256 } from '../fixtures/images.ts'
import { tryIpdr } from '../fixtures/ipdr.ts'
import { descriptorOf, imageIndex, imageManifest } from '../fixtures/manifests.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { until } from '../fixtures/until.ts'

const second = 1000
const minute = 60 * second
const mebibyte = 1024 * 1024
const args = ['--names-publish', 'false', '--gc-interval', 'off', '--fsck-rate', 'off', '--log-format', 'json']
const lan = [...args, '--network', 'lan', '--p2p-host', '127.0.0.1', '--p2p-port', '0']

interface Manifest {
  repository: string
  tag: string
  mediaType: string
  bytes: Buffer
  children: Digest[]
}

const layers = {
  leaf: randomBytes(90_000, 'leaf'),
  shared: randomBytes(2 * mebibyte + 5, 'shared'),
  own: randomBytes(mebibyte + 1, 'own'),
}
const configs = ['amd64', 'arm64'].map(architecture =>
  Buffer.from(JSON.stringify({ architecture, os: 'linux', rootfs: { type: 'layers', diff_ids: [] } })),
)
const blobs = [...Object.values(layers), ...configs]

function manifest(repository: string, tag: string, config: number, parts: Buffer[], subject?: Buffer): Manifest {
  const bytes = imageManifest({
    config: descriptorOf(configs[config]!, ociConfig),
    layers: parts.map(part => descriptorOf(part, ociLayer)),
    ...(subject === undefined ? {} : { subject: descriptorOf(subject, ociManifest) }),
  })
  return { repository, tag, mediaType: ociManifest, bytes, children: [] }
}

const one = manifest('team/app', 'amd64', 0, [layers.leaf, layers.shared])
const two = manifest('team/app', 'arm64', 1, [layers.shared, layers.own])
const both = imageIndex([descriptorOf(one.bytes, ociManifest), descriptorOf(two.bytes, ociManifest)])
const manifests: Manifest[] = [
  one,
  two,
  {
    repository: 'team/app',
    tag: 'latest',
    mediaType: ociIndex,
    bytes: both,
    children: [sha256(one.bytes), sha256(two.bytes)],
  },
  manifest('notes', 'v1', 0, [layers.leaf], one.bytes),
]

/** What a client asks for, with the blocks that it takes */
interface Content {
  path: string
  bytes: Buffer
  blocks: Set<string>
  isCached: boolean
}

/** One server with all images, and what each block on its disk is part of */
class Store {
  readonly server: ServerProcess
  readonly client: RegistryClient
  readonly content: Content[] = []
  /** Blocks that an image needs, by `<repository>@<digest>` */
  readonly images = new Map<string, Set<string>>()
  /** By their paths */
  readonly blocks = new Map<string, Buffer>()
  readonly #files: UncheckedBlocks

  private constructor(server: ServerProcess) {
    this.server = server
    this.client = new RegistryClient(server)
    this.#files = new UncheckedBlocks(join(server.dataDir, 'blocks'))
  }

  static async fill(server: ServerProcess): Promise<Store> {
    const store = new Store(server)
    for (const { repository, tag, mediaType, bytes } of manifests) {
      for (const blob of blobs.filter(blob => bytes.includes(sha256(blob)))) {
        assert.equal((await store.client.pushBlob(repository, blob)).status, 201)
      }
      assert.equal((await store.client.pushManifest(repository, tag, bytes, mediaType)).status, 201)
    }
    await store.#look()
    return store
  }

  /** @returns what of these came right; anything else is an error, or no whole response */
  async pull(wanted: readonly Content[]): Promise<Content[]> {
    const right: Content[] = []
    for (const content of wanted) {
      const response = await this.client.request('GET', content.path, { headers: { Accept: '*/*' } })
      const body = await response.arrayBuffer().then(
        bytes => Buffer.from(bytes),
        () => undefined,
      )
      if (response.status === 200 && body !== undefined) {
        assert.ok(body.equals(content.bytes), `wrong bytes of ${content.path}`)
        right.push(content)
      } else {
        assert.ok(response.status === 200 || response.status === 503, `${response.status} for ${content.path}`)
      }
    }
    return right
  }

  async check(repair: boolean): Promise<FsckResult> {
    const response = await this.client.request('POST', '/ipdr/v1/fsck', {
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ repair }),
    })
    const lines = (await response.text()).trimEnd().split('\n')
    return (JSON.parse(lines.at(-1)!) as { result: FsckResult }).result
  }

  hurtBy(block: string): string[] {
    return [...this.images]
      .filter(([, blocks]) => blocks.has(block))
      .map(([image]) => image)
      .sort()
  }

  async #look(): Promise<void> {
    for await (const cid of this.#files.list()) {
      this.blocks.set(this.#files.path(cid), await readFile(this.#files.path(cid)))
    }
    for (const blob of blobs) {
      const path = `/v2/team/app/blobs/${sha256(blob)}`
      this.content.push({ path, bytes: blob, blocks: this.#below(await this.#cidOf(path)), isCached: false })
    }
    for (const { repository, tag, bytes, children } of manifests) {
      const root = await this.#cidOf(`/v2/${repository}/manifests/${tag}`)
      const digest = sha256(bytes)
      // a manifest by its tag may come from memory; by the CID of its image root it is read
      this.content.push({ path: `/v2/${repository}/manifests/${tag}`, bytes, blocks: new Set(), isCached: true })
      this.content.push({
        path: `/v2/${root}/manifests/latest`,
        bytes,
        blocks: new Set(this.#named(root, ['manifests', 'latest'])),
        isCached: false,
      })
      const blocks = this.#below(root)
      for (const child of children) {
        this.images.get(`${repository}@${child}`)!.forEach(block => {
          blocks.add(block)
        })
      }
      this.images.set(`${repository}@${digest}`, blocks)
    }
  }

  async #cidOf(path: string): Promise<string> {
    const response = await this.client.request('HEAD', path)
    assert.equal(response.status, 200)
    return response.headers.get('X-Ipfs-Cid')!
  }

  /** Blocks on the way to a name below a directory, and that one's own first block */
  #named(root: string, names: string[]): string[] {
    const path = this.#files.path(CID.parse(root))
    const [name, ...rest] = names
    const link = dagPb.decode(this.blocks.get(path)!).Links.find(({ Name }) => Name === name)!
    return rest.length === 0 ? [path, this.#files.path(link.Hash)] : [path, ...this.#named(link.Hash.toString(), rest)]
  }

  #below(root: string): Set<string> {
    const cid = CID.parse(root)
    const path = this.#files.path(cid)
    const links = cid.code === dagPb.code ? dagPb.decode(this.blocks.get(path)!).Links : []
    return new Set([path, ...links.flatMap(({ Hash: hash }) => [...this.#below(hash.toString())])])
  }
}

function each(
  store: Store,
  t: TestContext,
): Array<{ path: string; bytes: Buffer; what: string; damage: (path: string) => Promise<void> }> {
  t.diagnostic(`${store.blocks.size} blocks, ${Object.keys(damages).length} ways`)
  // block after block: a peer sends the same one again only after some seconds
  return Object.entries(damages).flatMap(([way, damage]) =>
    [...store.blocks].map(([path, bytes]) => ({ path, bytes, damage, what: `${basename(path)} ${way}` })),
  )
}

async function isRight(path: string, bytes: Buffer): Promise<boolean> {
  return await readFile(path).then(
    now => now.equals(bytes),
    () => false,
  )
}

test('every block damaged in every way: no wrong byte is served, and a peer has all of them repaired', {
  timeout: 5 * minute,
}, async t => {
  await using origin = await ServerProcess.start({ args: lan })
  await Store.fill(origin)
  await using server = await ServerProcess.start({
    args: [...lan, '--limits-retrieval-timeout', '6s', '--p2p-peers', await nodeAddress(origin)],
  })
  const store = await Store.fill(server)
  await until('the peer is there', async () =>
    (await (await store.client.request('GET', '/ipdr/v1/peers')).text()).includes('12D3'),
  )
  assert.equal((await store.pull(store.content)).length, store.content.length)
  for (const { path, bytes, what, damage } of each(store, t)) {
    await damage(path)
    const affected = store.content.filter(({ blocks }) => blocks.has(path))
    await store.pull(affected)
    // what somebody reads is repaired by that alone, and right at a next try
    if (affected.length > 0) {
      await until(
        `pulled after ${what}`,
        async () => (await store.pull(affected)).length === affected.length,
        30 * second,
      )
      await until(`repaired after ${what}`, async () => await isRight(path, bytes), 30 * second)
    } else {
      const { images, others, repaired } = await store.check(true)
      assert.deepEqual({ what, images, others, repaired }, { what, images: [], others: [], repaired: 1 })
      assert.ok(await isRight(path, bytes), what)
    }
  }
  const { images, others, missing, damaged, unneeded } = await store.check(false)
  assert.deepEqual(
    { images, others, missing, damaged, unneeded },
    { images: [], others: [], missing: 0, damaged: 0, unneeded: 0 },
  )
  assert.equal((await store.pull(store.content)).length, store.content.length)
  assert.ok((await store.client.metrics())('ipdr_fsck_repairs_total{result="success"}') > 0)
  // of three ways two leave something to be kept
  assert.equal((await readdir(join(server.dataDir, 'quarantine'))).length, 2 * store.blocks.size)
})

test('every block damaged in every way without a peer: no wrong byte is served, and ipdr fsck names the images', {
  timeout: 5 * minute,
}, async t => {
  await using server = await ServerProcess.start({ args })
  const store = await Store.fill(server)
  for (const { path, bytes, what, damage } of each(store, t)) {
    await damage(path)
    const affected = store.content.filter(({ blocks }) => blocks.has(path))
    assert.equal((await store.pull(affected)).length, 0, what)
    const { images, others, missing, damaged } = await store.check(false)
    assert.deepEqual(images.map(({ repository, digest }) => `${repository}@${digest}`).sort(), store.hurtBy(path), what)
    // what was pulled by a CID is kept as an image of other nodes, too
    assert.deepEqual(
      { what, others: others.filter(({ what }) => !what.startsWith('image of other nodes')), bad: missing + damaged },
      { what, others: [], bad: 1 },
    )
    await writeFile(path, bytes)
    assert.equal((await store.pull(affected)).length, affected.length, what)
  }
  const host = ['--data-dir', server.dataDir]
  assert.equal((await tryIpdr(['fsck', ...host])).code, 0)

  // what can't be repaired is named until it is pushed again
  const [path] = [...store.content[1]!.blocks].slice(1)
  await damages['with a flipped bit']!(path!)
  const { code, stdout, stderr } = await tryIpdr(['fsck', ...host])
  assert.equal(code, 1)
  for (const image of store.hurtBy(path!)) {
    assert.ok(stdout.includes(image), image)
  }
  assert.match(stderr, /some images are damaged: push those that are listed again, or delete them/)
  assert.equal((await store.client.request('HEAD', store.content[1]!.path)).status, 404)
  assert.equal((await store.client.pushBlob('team/app', layers.shared)).status, 201)
  assert.equal((await tryIpdr(['fsck', ...host])).code, 0)
  assert.equal((await store.pull(store.content)).length, store.content.length)
})
