/** Retention in a registry of 10,000 images */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Digest } from '../../../../src/oci/digest.ts'
import { everything } from '../../../../src/oci/pagination.ts'
import { PullNotes } from '../../../../src/registry/pull-notes.ts'
import { Retention, type RetentionDecision } from '../../../../src/upkeep/retention/retention.ts'
import { beginning, digestOf, putRepository, type RepositoryModel } from '../../../fixtures/repository-model.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'

const images = 2500
const minute = 60_000

/**
 * Each image is an index of a platform of its own and one that it shares with the next; some have a second tag, a
 * signature with a subject or one with a tag
 */
function model(): RepositoryModel {
  const manifests: RepositoryModel['manifests'] = []
  const tags: RepositoryModel['tags'] = []
  const add = (updated: number, children: number[] = [], subject?: number): number =>
    manifests.push({ children, subject, updated }) - 1
  let shared = add(beginning)
  for (let image = 0; image < images; image++) {
    const updated = beginning + image * minute
    const own = add(updated)
    if (image % 2 === 1) {
      shared = add(updated)
    }
    const index = add(updated, [own, shared])
    tags.push({ tag: `0.${image}.0`, manifest: index, updated })
    if (image % 10 === 0) {
      tags.push({ tag: `stable-${image}`, manifest: index, updated })
    }
    if (image % 5 === 0) {
      add(updated, [], index)
    }
    if (image % 7 === 0) {
      tags.push({ tag: `${digestOf(index).replace(':', '-')}.sig`, manifest: add(updated), updated })
    }
  }
  return { manifests, tags, pulls: new Map() }
}

it('deletes of 10,000 images exactly those that its dry run lists, and nothing that the others need', async () => {
  await using stores = await TestRegistry.open()
  const { condition, index, links, log, readOnly, upgrade } = stores
  const { manifests, tags } = model()
  for (const repository of ['dev/a', 'dev/b', 'prod/a', 'other']) {
    const change = index.change()
    putRepository(change, repository, { manifests, tags, pulls: new Map() })
    await change.commit({ durable: false })
  }
  const retention = new Retention(
    { condition, index, links, log, readOnly, upgrade, pulls: new PullNotes(stores) },
    {
      rules: [
        { images: ['dev/**', 'prod/**'], keep: { last: 100, versions: 200, tags: ['stable-*'] } },
        { images: ['prod/**'], protect: true },
      ],
      interval: 0,
    },
  )
  const run = async (dryRun: boolean): Promise<RetentionDecision[]> => {
    const decisions: RetentionDecision[] = []
    await retention.run({ dryRun, onDecisions: some => decisions.push(...some) })
    return decisions
  }
  const dry = await run(true)
  assert.deepEqual(await run(false), dry)
  const goes = new Set(
    dry.flatMap(({ action, digest, repository, tag }) =>
      action === 'delete' ? [`${repository}${tag === undefined ? `@${digest}` : `:${tag}`}`] : [],
    ),
  )
  let stay = 0
  for (const repository of ['dev/a', 'dev/b', 'prod/a', 'other']) {
    const left = new Set((await Array.fromAsync(index.tags(repository, everything))).map(({ tag }) => tag))
    for (const { tag } of tags) {
      assert.equal(left.has(tag), !goes.has(`${repository}:${tag}`), tag)
      const [, image] = /^0\.(\d+)\.0$/.exec(tag) ?? []
      if (image !== undefined) {
        assert.equal(left.has(tag), !repository.startsWith('dev/') || Number(image) >= images - 200, tag)
      }
    }
    const here = new Set((await Array.fromAsync(index.manifests(repository))).map(({ digest }) => digest))
    const isHere = (number: number): boolean => here.has(digestOf(number))
    for (const [number, { children, subject }] of manifests.entries()) {
      assert.equal(isHere(number), !goes.has(`${repository}@${digestOf(number)}`))
      if (isHere(number)) {
        assert.ok(children.every(isHere) && (subject === undefined || isHere(subject)), `${number} has what it needs`)
      }
    }
    stay += left.size
    await assertReferrers(stores, repository, here)
  }
  // of each of the two: 200 versions, 250 that are stable, of which 20 are among them, and the signatures by tag
  assert.deepEqual([goes.size > 10_000, stay], [true, 2 * tags.length + 2 * (200 + 250 + signaturesOf(tags))])
})

/** How many images that stay have a signature with a tag */
function signaturesOf(tags: RepositoryModel['tags']): number {
  const staying = new Set(
    tags.flatMap(({ manifest, tag }) => {
      const [, image] = /^0\.(\d+)\.0$/.exec(tag) ?? []
      return tag.startsWith('stable-') || Number(image) >= images - 200 ? [digestOf(manifest)] : []
    }),
  )
  return tags.filter(({ tag }) => staying.has(tag.replace(/^sha256-/, 'sha256:').replace(/\.sig$/, '') as Digest))
    .length
}

async function assertReferrers({ index }: TestRegistry, repository: string, here: Set<Digest>): Promise<void> {
  for (const digest of here) {
    for await (const referrer of index.referrers(repository, digest, everything)) {
      assert.ok(here.has(referrer.digest), 'no referrer is listed that went')
    }
  }
}
