import type { Mutant } from './mutant.ts'

const disk = 'unit/ipfs/blockstore/disk-errors.test.ts'
const collector = 'unit/upkeep/gc/garbage-collector.test.ts'
const marker = 'unit/ipfs/dag/marker.test.ts'
const publisher = 'unit/registry/tags/publisher.test.ts'
const rebuilder = 'unit/upkeep/rebuild/index-rebuilder.test.ts'

/** Disks that fail, and things that happen at the same time */
export const faults: Mutant[] = [
  {
    name: 'a block that the disk can not read is no damage',
    find: "case 'EIO': return new DamagedBlockError(",
    replace: "case 'none': return new DamagedBlockError(",
    tests: [disk],
  },
  {
    name: 'a block that another thread can not read is no damage',
    find: 'throw readFailure(cid, err) })',
    replace: 'throw err })',
    tests: [disk],
  },
  {
    name: 'nobody is told of a block that the disk can not read',
    find: 'if (err instanceof DamagedBlockError) { this.#onDamaged(cid) }',
    replace: '',
    tests: [disk],
  },
  {
    name: 'what the disk can not read is not replaced by a push',
    find: "case 'EIO': return false",
    replace: '',
    tests: [disk],
  },
  {
    name: 'a block is quarantined while it is put',
    find: 'if (!this.#guard.isPutting(place.file)) {',
    replace: '{',
    tests: [disk],
  },
  {
    name: 'a quota that is used up is no full storage',
    find: "|| code === 'EDQUOT'",
    replace: '',
    tests: [disk],
  },
  {
    name: 'a full disk is no full storage',
    find: "code === 'ENOSPC' ||",
    replace: '',
    tests: [disk],
  },
  {
    name: 'a collection believes nodes that do not match their CID',
    find: 'async () => await readVerified(this.#blockstore, cid)',
    replace: 'async () => await this.#blockstore.read(cid)',
    tests: [marker],
  },
  {
    name: 'a collection takes any codec for one of a leaf',
    find: 'if (cid.code !== dagPb.code && cid.code !== raw.code) {',
    replace: 'if (false) {',
    tests: [marker],
  },
  {
    name: 'a dry run of a collection drops uploads',
    find: 'if (!dryRun) { await uploads.expire(',
    replace: '{ await uploads.expire(',
    tests: [collector],
  },
  {
    name: 'a collection does not wait for manifests on their way',
    find: 'await raceSignal(links.repositories.idle(), signal)',
    replace: '',
    tests: [collector],
  },
  {
    name: 'a collection does not wait for a directory that is being published',
    find: 'await raceSignal(publisher.settled(), signal)',
    replace: '',
    tests: [collector],
  },
  {
    name: 'a collection deletes blocks though nodes are missing',
    find: "if (missing.size > 0) { throw new OciError('UNAVAILABLE'",
    replace: "if (false) { throw new OciError('UNAVAILABLE'",
    tests: [collector],
  },
  {
    name: 'a rebuild moves a tag that was pushed meanwhile',
    find: '(await index.tag(repository, tag)) === undefined &&',
    replace: '',
    tests: [rebuilder],
  },
  {
    name: 'a rebuild brings back a tag that was deleted meanwhile',
    find: '&& (await noted()) === root',
    replace: '',
    tests: [rebuilder],
  },
  {
    name: 'a rebuild takes a tag that was pushed meanwhile for a problem',
    find: 'if ((await this.#components.index.tag(repository, tag)) === undefined) {',
    replace: '{',
    tests: [rebuilder],
  },
  {
    name: 'a rebuild with problems counts as whole',
    find: 'whole = run.outcome.problems.length === 0',
    replace: 'whole = true',
    tests: [rebuilder],
  },
  {
    name: 'a rebuild changes a repository while others do',
    find: 'await this.#locked(repository, async () => { // the tag may',
    replace: "await this.#locked('another', async () => { // the tag may",
    tests: [rebuilder],
  },
  {
    name: 'after a failure the publisher believes what it stored',
    find: 'this.#directory.reset() this.#earliest',
    replace: 'this.#earliest',
    tests: [publisher],
  },
  {
    name: 'a publication that is not in the index is published',
    find: 'await index.change().putPublished({ root: cid }).commit({ durable: true })',
    replace: 'void index.change().putPublished({ root: cid }).commit({ durable: true }).catch(() => {})',
    tests: [publisher],
  },
  {
    name: 'after a failure the publisher does not wait',
    find: 'this.#earliest = performance.now() + Math.min(this.#interval * 2 ** this.#failures++, maxRetry)',
    replace: '',
    tests: [publisher],
  },
]
