import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Digest } from '../../../../src/oci/digest.ts'
import { everything } from '../../../../src/oci/pagination.ts'
import { ImmutableTags } from '../../../../src/registry/policies/immutable-tags.ts'
import type { EventSink, NewEvent } from '../../../../src/registry/event-sink.ts'
import { PullNotes } from '../../../../src/registry/pull-notes.ts'
import {
  Retention,
  type RetentionComponents,
  type RetentionDecision,
} from '../../../../src/upkeep/retention/retention.ts'
import type { RetentionRule } from '../../../../src/upkeep/retention/rules.ts'
import { sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, imageIndex, imageManifest, ociIndex, ociManifest } from '../../../fixtures/manifests.ts'
import { until } from '../../../fixtures/until.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'

const day = 86_400

let stores: TestRegistry
let pulls: PullNotes
let told: string[]

beforeEach(async () => {
  stores = await TestRegistry.open()
  pulls = new PullNotes(stores)
  await pulls.start()
  told = []
})
afterEach(async () => {
  await pulls.stop()
  await stores[Symbol.asyncDispose]()
})

/** @param days how much later than now it is */
function retention(rules: RetentionRule[], days = 0, components: Partial<RetentionComponents> = {}): Retention {
  const { condition, index, links, log, readOnly, upgrade } = stores
  const tagListener = {
    tagged: (repository: string, tag: string) => {
      told.push(`${repository}:${tag}`)
    },
  }
  return new Retention(
    { condition, index, links, log, readOnly, upgrade, pulls, tagListener, ...components },
    { rules, interval: 0, now: () => Date.now() + days * day * 1000 },
  )
}

async function run(retention: Retention, dryRun = false): Promise<RetentionDecision[]> {
  const decisions: RetentionDecision[] = []
  await retention.run({
    dryRun,
    onDecisions: some => {
      decisions.push(...some)
    },
  })
  return decisions
}

/** An image of its own for each name; `undefined` is one without a tag */
async function push(repository: string, tag: string | undefined, name = tag ?? '', subject?: Buffer): Promise<Buffer> {
  await stores.pushEmptyConfig(repository)
  const bytes = imageManifest({
    annotations: { name },
    ...(subject === undefined ? {} : { subject: descriptorOf(subject, ociManifest) }),
  })
  await stores.pushManifest(repository, tag ?? sha256(bytes), bytes)
  return bytes
}

async function pushIndex(repository: string, tag: string, ...manifests: Buffer[]): Promise<Buffer> {
  const bytes = imageIndex(
    manifests.map(manifest => descriptorOf(manifest, ociManifest)),
    { annotations: { tag } },
  )
  await stores.pushManifest(repository, tag, bytes, ociIndex)
  return bytes
}

async function tagsOf(repository: string): Promise<string[]> {
  return (await Array.fromAsync(stores.index.tags(repository, everything))).map(({ tag }) => tag)
}

async function manifestsOf(repository: string): Promise<Digest[]> {
  return (await Array.fromAsync(stores.index.manifests(repository))).map(({ digest }) => digest).sort()
}

describe('retention', () => {
  it('deletes by each condition, and says why', async () => {
    for (const tag of ['latest', 'pr-1', '1.0.0', 'v1.10.0', '1.9.0', '2.0.0-rc.1', '1.2']) {
      await push('a/b', tag)
      await push('c', tag)
    }
    const keep = { tags: ['latest'], last: 1, versions: 1, releases: 2 }
    const decisions = await run(retention([{ images: ['a/**'], keep }]))
    assert.deepEqual(
      Object.fromEntries(
        decisions.flatMap(({ action, tag, why }) => (tag === undefined ? [] : [[tag, `${action}: ${why}`]])),
      ),
      {
        latest: 'keep: retention[0] keeps it: its name',
        'pr-1': 'delete: nothing keeps it: retention[0]',
        '1.0.0': 'delete: nothing keeps it: retention[0]',
        'v1.10.0': 'keep: retention[0] keeps it: one of the highest 2 releases',
        '1.9.0': 'keep: retention[0] keeps it: one of the highest 2 releases',
        '2.0.0-rc.1': 'keep: retention[0] keeps it: one of the highest 1 versions',
        '1.2': 'keep: retention[0] keeps it: one of the last 1',
      },
    )
    assert.deepEqual(await tagsOf('a/b'), ['1.2', '1.9.0', '2.0.0-rc.1', 'latest', 'v1.10.0'])
    assert.equal((await manifestsOf('a/b')).length, 5)
    assert.equal((await tagsOf('c')).length, 7, 'no rule is about it')
    assert.deepEqual(told, ['a/b:1.0.0', 'a/b:pr-1'])
    const { message, level, ...fields } = stores.logged.find(line => line['message'] === 'images deleted by retention')!
    assert.deepEqual(
      [level, fields['repository'], fields['names']],
      ['info', 'a/b', ['1.0.0', 'pr-1']],
      String(message),
    )
    assert.ok(stores.logged.some(line => line['message'] === 'retention applied' && line['tags'] === 2))
  })

  it('keeps what was pushed or pulled lately', async () => {
    const used = await push('a', 'used')
    await push('a', 'unused')
    const rules = [{ images: ['a'], keep: { pushedWithin: 5 * day } }]
    assert.deepEqual(await run(retention(rules, 4)), await run(retention(rules, 4), true))
    assert.deepEqual(await tagsOf('a'), ['unused', 'used'])
    // the pull is as long ago as the push here, and the notes begin with both
    const pulled = [{ images: ['a'], keep: { pulledWithin: 5 * day } }]
    const later = { since: pulls.since, lastPulls: async () => new Map([[sha256(used), Date.now() + 3 * day * 1000]]) }
    await run(retention(pulled, 4, { pulls: later }))
    assert.deepEqual(await tagsOf('a'), ['unused', 'used'])
    await run(retention(pulled, 7, { pulls: later }))
    assert.deepEqual(await tagsOf('a'), ['used'])
    await run(retention(rules, 7))
    assert.deepEqual(await tagsOf('a'), [])
    assert.equal(await stores.index.hasRepository('a'), false)
  })

  it('counts as pulled what may have been before pulls were noted', async () => {
    await push('a', 'v1')
    const pulled = [{ images: ['a'], keep: { pulledWithin: 5 * day } }]
    const young = { since: Date.now() + 10 * day * 1000, lastPulls: async () => new Map() }
    await run(retention(pulled, 14, { pulls: young }))
    assert.deepEqual(await tagsOf('a'), ['v1'])
    await run(retention(pulled, 16, { pulls: young }))
    assert.deepEqual(await tagsOf('a'), [])
  })

  it('an image whose platform was pulled counts as pulled', async () => {
    const platform = await push('a', undefined, 'platform')
    await pushIndex('a', 'v1', platform)
    const pulled = [{ images: ['a'], keep: { pulledWithin: 5 * day } }]
    const lastPulls = async (): Promise<Map<Digest, number>> =>
      new Map([[sha256(platform), Date.now() + 6 * day * 1000]])
    await run(retention(pulled, 7, { pulls: { since: 0, lastPulls } }))
    assert.deepEqual(await tagsOf('a'), ['v1'])
  })

  it('never touches what is protected or immutable', async () => {
    for (const repository of ['prod/app', 'app']) {
      for (const tag of ['prod-1', 'v1', 'v2', 'v3']) {
        await push(repository, tag)
      }
      await push(repository, undefined, 'untagged')
    }
    const rules: RetentionRule[] = [
      { images: ['**'], keep: { last: 1 }, untagged: day },
      { images: ['prod/**', '**:prod-*'], protect: true },
    ]
    const decisions = await run(retention(rules, 30, { immutable: new ImmutableTags(stores, ['app:v2']) }))
    assert.deepEqual(await tagsOf('prod/app'), ['prod-1', 'v1', 'v2', 'v3'])
    assert.equal((await manifestsOf('prod/app')).length, 5)
    assert.deepEqual(await tagsOf('app'), ['prod-1', 'v2', 'v3'])
    assert.equal((await manifestsOf('app')).length, 3)
    const why = (name: string): string | undefined =>
      decisions.find(({ repository, tag }) => `${repository}:${tag}` === name)?.why
    assert.equal(why('app:prod-1'), 'retention[1] protects it')
    assert.equal(why('app:v2'), 'it is immutable')
  })

  it('keeps what an index, a subject or another tag with the same digest needs', async () => {
    const shared = await push('a', 'old-shared', 'shared')
    await pushIndex('a', 'v1', shared)
    await push('a', 'old-same', 'same')
    await push('a', 'v2', 'same')
    const subject = await push('a', 'old-subject', 'subject')
    const signature = await push('a', undefined, 'signature', subject)
    await stores.pushManifest('a', 'v3', signature)
    await push('a', 'old-alone', 'alone')
    const before = await manifestsOf('a')
    const rules = [{ images: ['a:old-*'], keep: { tags: ['none'] } }]
    const decisions = await run(retention(rules))
    assert.deepEqual(await tagsOf('a'), ['v1', 'v2', 'v3'])
    assert.deepEqual(
      await manifestsOf('a'),
      before.filter(digest => digest !== sha256(imageManifest({ annotations: { name: 'alone' } }))),
    )
    const kept = decisions.filter(({ action, tag }) => action === 'keep' && tag === undefined)
    assert.deepEqual(kept.map(({ why }) => why.replace(/sha256:\S+/, 'X')).sort(), [
      'X needs it',
      'X needs it',
      'tag v2 needs it',
      'tag v3 needs it',
    ])
  })

  it('deletes with an image its platforms and what belongs to it, but not what came later', async () => {
    const [own, shared, later] = [
      await push('a', undefined, 'own'),
      await push('a', undefined, 'shared'),
      await push('a', undefined, 'later'),
    ]
    const image = await pushIndex('a', 'old', own, shared, later)
    await pushIndex('a', 'new', shared)
    const signature = await push('a', undefined, 'signature', image)
    await push('a', undefined, 'signature of the signature', signature)
    await push('a', `${sha256(image).replace(':', '-')}.sig`, 'signature of cosign')
    // somebody pushes another index that has it
    await new Promise(resolve => setTimeout(resolve, 2))
    await push('a', undefined, 'later')
    const rules = [{ images: ['a'], keep: { last: 1 } }]
    assert.deepEqual(await run(retention(rules), true), await run(retention(rules)))
    assert.deepEqual(await tagsOf('a'), ['new'])
    const index = imageIndex([descriptorOf(shared, ociManifest)], { annotations: { tag: 'new' } })
    assert.deepEqual(await manifestsOf('a'), [shared, later, index].map(bytes => sha256(bytes)).sort())
  })

  it('does not count the tags of signatures, which stay with their images', async () => {
    const image = await push('a', 'v1')
    await push('a', `${sha256(image).replace(':', '-')}.sig`, 'signature')
    await run(retention([{ images: ['a'], keep: { last: 1 } }], 100))
    assert.equal((await tagsOf('a')).length, 2)
  })

  it('leaves manifests without a tag, unless a rule is about them', async () => {
    await push('a', 'v1', 'first')
    const moved = await push('a', 'v1', 'second')
    await run(retention([{ images: ['a'], keep: { last: 1 } }], 100))
    assert.equal((await manifestsOf('a')).length, 2)
    const rules = [
      { images: ['a'], untagged: 7 * day },
      { images: ['**'], untagged: 14 * day },
    ]
    await run(retention(rules, 13))
    assert.equal((await manifestsOf('a')).length, 2, 'the longest counts')
    const decisions = await run(retention(rules, 15))
    assert.deepEqual(await manifestsOf('a'), [sha256(moved)])
    assert.equal(
      decisions.find(({ action }) => action === 'delete')?.why,
      'without a tag for 14d: retention[0], retention[1]',
    )
    assert.deepEqual(await tagsOf('a'), ['v1'])
  })

  it('notes when a manifest that stays lost its tag', async () => {
    const image = await push('a', 'old', 'same')
    await push('a', 'v1', 'same')
    await run(retention([{ images: ['a:old'], keep: { last: 1, tags: ['x'] } }], 0))
    assert.deepEqual(await tagsOf('a'), ['old', 'v1'], 'the last one')
    await run(retention([{ images: ['a:old'], keep: { tags: ['x'] } }], 3))
    const { updated } = (await stores.index.manifest('a', sha256(image)))!
    assert.ok(Date.parse(updated!) > Date.now() + 2 * day * 1000)
  })

  it('tells of each tag and manifest that it deletes, in the batch that does so', async () => {
    const gone = await push('a', 'old', 'gone')
    const same = await push('a', 'old-same', 'same')
    await push('a', 'v1', 'same')
    const events: NewEvent[] = []
    const sink: Pick<EventSink, 'commit'> = {
      commit: async (change, describe) => {
        await change.commit({ durable: true })
        events.push(...describe())
      },
    }
    const rules = [{ images: ['a:old*'], keep: { tags: ['x'] } }]
    await run(retention(rules, 0, { events: sink }), true)
    assert.deepEqual(events, [])
    await run(retention(rules, 0, { events: sink }))
    assert.deepEqual(
      events.map(({ kind, repository, tag, digest, reason }) => [kind, repository, tag, digest, reason]),
      [
        ['delete', 'a', 'old', sha256(gone), 'retention'],
        ['delete', 'a', 'old-same', sha256(same), 'retention'],
        ['delete', 'a', undefined, sha256(gone), 'retention'],
      ],
    )
  })

  it('runs by its interval, unless the registry is read-only', async t => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    await push('a', 'v1')
    const { condition, index, links, log, readOnly, upgrade } = stores
    const rules = [{ images: ['a'], keep: { tags: ['x'] } }]
    const components = { condition, index, links, log, readOnly, upgrade, pulls }
    const scheduled = new Retention(components, { rules, interval: 60_000 })
    await scheduled.start()
    await readOnly.turnOn()
    t.mock.timers.tick(60_000)
    await scheduled.stop()
    assert.deepEqual(await tagsOf('a'), ['v1'])
    assert.ok(!stores.logged.some(({ message }) => String(message).startsWith('retention')), 'it does not begin')
    await readOnly.turnOff()
    await scheduled.start()
    t.mock.timers.tick(59_999)
    assert.deepEqual(await tagsOf('a'), ['v1'])
    t.mock.timers.tick(1)
    await until('the run', async () => ((await tagsOf('a')).length === 0 ? true : undefined))
    await scheduled.stop()
  })

  it('deletes nothing while the registry is read-only', async () => {
    await push('a', 'v1')
    await stores.readOnly.turnOn()
    const wanted = retention([{ images: ['a'], keep: { tags: ['x'] } }])
    await assert.rejects(run(wanted), { code: 'UNSUPPORTED' })
    assert.equal((await run(wanted, true)).length, 2)
    assert.deepEqual(await tagsOf('a'), ['v1'])
  })

  it('can be undone, with tags and manifests', async () => {
    await pulls.stop()
    await stores.reopen({ history: {} })
    pulls = new PullNotes(stores)
    await pulls.start()
    const v1 = sha256(await push('app', 'v1'))
    await push('app', 'v2')
    const { historyWriter: history } = stores
    const before = await stores.index.history.last()
    await run(retention([{ images: ['app'], keep: { last: 1 } }], 1, { history }))
    assert.equal(await stores.index.tag('app', 'v1'), undefined)
    const change = await stores.index.history.change('app', before + 1)
    assert.deepEqual([change?.action, change?.tags.map(({ tag }) => tag)], ['retention', ['v1']])
    await stores.undo.undo({ repository: 'app' })
    assert.equal((await stores.index.tag('app', 'v1'))?.digest, v1)
    assert.notEqual(await stores.index.manifest('app', v1), undefined)
  })
})
