import type { Mutant } from './mutant.ts'

const acknowledged = 'unit/registry/durability.test.ts'
const rebuilder = 'unit/upkeep/rebuild/index-rebuilder.test.ts'
const disk = 'unit/ipfs/blockstore/power-failure.test.ts'
const blockstore = 'unit/ipfs/blockstore/blockstore.test.ts'

/** What is acknowledged must be on disk */
export const durability: Mutant[] = [
  {
    name: 'the records of a blob are not synced',
    find: '.deleteUpload(upload.id) .commit({ durable: true })',
    replace: '.deleteUpload(upload.id).commit({ durable: false })',
    tests: [acknowledged],
  },
  {
    name: 'the blocks of a blob are not synced',
    find: 'await content.sync() await links.add(digest, async () => {',
    replace: 'await links.add(digest, async () => {',
    tests: [acknowledged],
  },
  {
    name: 'the records of a blob are written before its blocks are synced',
    find: 'await content.sync() await links.add(digest, async () => {',
    replace: 'setTimeout(() => content.sync(), 50); await links.add(digest, async () => {',
    tests: [acknowledged],
  },
  {
    name: 'the records of a manifest are not synced',
    find: 'await commitTelling(events, change, () => eventsOfPush(',
    replace: 'await change.commit({ durable: false }); void (() => eventsOfPush(',
    tests: [acknowledged],
  },
  {
    name: 'the blocks of a manifest and its root are not synced',
    find: 'await content.sync() await this.#index(',
    replace: 'await this.#index(',
    tests: [acknowledged],
  },
  {
    name: 'the end of a tag is not synced',
    find: 'await commitTelling(events, change, () => [',
    replace: 'await change.commit({ durable: false }); void (() => [',
    tests: [acknowledged],
  },
  {
    name: 'the end of a manifest is not synced',
    find: 'await commitTelling(events, deletion.change, () => eventsOfDeletion(',
    replace: 'await deletion.change.commit({ durable: false }); void (() => eventsOfDeletion(',
    tests: [acknowledged],
  },
  {
    name: 'the end of a blob is not synced',
    find: 'unlinked: [digest] })\n      await change.commit({ durable: true })',
    replace: 'unlinked: [digest] })\n      await change.commit({ durable: false })',
    tests: [acknowledged],
  },
  {
    name: 'a mounted blob is not synced',
    find: 'putLink(this.name, digest).commit({ durable: true })',
    replace: 'putLink(this.name, digest).commit({ durable: false })',
    tests: [acknowledged],
  },
  {
    name: 'the blocks of a mounted blob are not synced',
    find: 'await content.sync() await index.change().putLink(this.name',
    replace: 'await index.change().putLink(this.name',
    tests: [acknowledged],
  },
  {
    name: 'the name of a block that is pushed again is not synced',
    find: 'this.#writer.changed(',
    replace: 'if (held !== true) this.#writer.changed(',
    tests: [disk],
  },
  {
    name: 'the bytes of a block are not synced',
    find: 'await handle.datasync()',
    replace: '',
    tests: [disk],
  },
  {
    name: 'the name of a new directory is not synced',
    find: 'this.#unsynced.add(this.#location)',
    replace: '',
    tests: [disk],
  },
  {
    name: 'a sync does not wait for the directories',
    find: 'await forEach(directories, concurrency, undefined, syncDirectory)',
    replace: 'void forEach(directories, concurrency, undefined, syncDirectory)',
    tests: [disk],
  },
  {
    name: 'a directory whose sync failed is forgotten',
    find: 'directories.forEach(directory => this.#directories.add(directory)) throw err',
    replace: 'throw err',
    tests: [blockstore],
  },
  {
    name: 'what a rebuild found is not synced',
    find: 'await this.#components.content.sync() await change.commit({ durable: true })',
    replace: 'await change.commit({ durable: false })',
    tests: [rebuilder],
  },
]
