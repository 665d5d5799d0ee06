import type { Mutant } from './mutant.ts'

const blockAccess = 'unit/registry/sharing/block-access.test.ts'
const blockOwners = 'unit/registry/block-owners.test.ts'
const ownersInIndex = 'unit/index/block-owners.test.ts'
const byCid = 'http/access-by-cid.test.ts'
const imagesByRoot = 'unit/registry/repositories/images-by-root.test.ts'
const resolved = 'unit/registry/repositories/resolved-repository.test.ts'
const publisher = 'unit/registry/tags/publisher.test.ts'
const access = 'http/access.test.ts'
const rebuild = 'unit/upkeep/rebuild/index-rebuilder.test.ts'

/** Which repositories a block belongs to, and who gets it */
export const peers: Mutant[] = [
  {
    name: 'a peer that may pull something gets every block',
    find: 'return puller.something && this.#isOf(digest, puller.mayPull)',
    replace: 'return puller.something',
    tests: [blockAccess],
  },
  {
    name: 'a peer is told sooner that a block is not here than that it may not have it',
    find: 'await sleepUntil(began + refusalTime)',
    replace: '',
    tests: [blockAccess],
  },
  {
    name: 'a resolver is a way to private images',
    find: ': this.#components.reader.only(cid => blockAccess.mayFetchFound(puller, cid))',
    replace: ': this.#components.reader',
    tests: [resolved],
  },
  {
    name: 'the blocks of what is deleted stay in the index',
    find: "...Array.from(old.difference(kept), (block): Operation => ({ type: 'del', key: owner(block) })),",
    replace: '',
    tests: [blockOwners],
  },
  {
    name: 'a deleted link is still found by its blob',
    find: "this.#uncached.push({ type: 'del', key: keys.linked(repository, digest) })",
    replace: '',
    tests: [blockOwners],
  },
  {
    name: 'a rebuild gives a repository the manifests of another one',
    find: 'if (!(await mayGet(this.#components.reader, listedBy, digest, work))) {',
    replace: 'if (digest === undefined) {',
    tests: [rebuild],
  },
  {
    name: 'a rebuild gives a repository the blobs of another one',
    find: 'const content = (await mayGet(this.#components.reader, wanted.listedBy, digest, work))',
    replace: 'const content = digest !== undefined',
    tests: [rebuild],
  },
  {
    name: 'a rebuild gives a referrer what another repository has',
    find: 'own: undefined, listedBy: roots, places: roots',
    replace: 'own: undefined, listedBy: [], places: roots',
    tests: [rebuild],
  },
  {
    name: 'a manifest with another image root keeps the blocks of the one before',
    find: 'this.#blocks.putRecord(manifestOwner(repository, digest), record)',
    replace: '',
    tests: [ownersInIndex],
  },
  {
    name: 'a push records no blocks of its manifest',
    find: '.putManifestBlocks(this.#repository, digest, blocks)',
    replace: '',
    tests: [blockOwners],
  },
  {
    name: 'a push records no blocks of its blob',
    find: '.putBlobBlocks(digest, upload.writer.blockKeys())',
    replace: '',
    tests: [blockOwners],
  },
  {
    name: 'the DHT goes on to provide what became private',
    find: 'if (!this.#isOwn(key) || (await this.#mayProvide(providedBlock(key)))) {',
    replace: "if (key !== '') {",
    tests: ['unit/ipfs/node/dht-records.test.ts'],
  },
  {
    name: 'a private root is provided',
    find: 'isWanted: async root => await mayProvide(CID.parse(root)),',
    replace: '',
    tests: ['unit/ipfs/node/provider.test.ts'],
  },
  {
    name: 'a private tag is published',
    find: 'if (!tree.isPublic(repository, tag)) {',
    replace: "if (tag === '') {",
    tests: [publisher],
  },
  {
    name: 'a directory is published that was stored by the rules before',
    find: 'if (rules === this.#rules) {',
    replace: 'if (rules >= 0) {',
    tests: [publisher],
  },
  {
    name: 'the time of a refusal tells whether an image is here',
    find: 'await sleepUntil(began + refusalTime + chance * Math.random())',
    replace: '',
    tests: [imagesByRoot],
  },
  {
    name: 'an image by CID has what its repository has no more',
    find: 'const reader = content.only(cid => blockAccess.mayFetch(puller, cid))',
    replace: 'const reader = content',
    tests: [byCid],
  },
  {
    name: 'an image by CID is for whoever may pull anything',
    find: '(await this.#components.blockAccess.mayFetch(puller, CID.parse(root)))',
    replace: 'CID.parse(root).version === 1',
    tests: [byCid],
  },
  {
    name: 'a mount without a source takes a blob of any repository',
    find: 'return mayPull(this.name) && (await this.#index.isBlobOwned(digest, mayPull))',
    replace: 'return mayPull(this.name) && (await this.#index.isBlobOwned(digest, () => true))',
    tests: [access],
  },
]
