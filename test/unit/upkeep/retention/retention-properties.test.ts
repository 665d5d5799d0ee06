/** What retention must never do, and what it has to do, whatever the repository and the rules are */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { LevelIndex } from '../../../../src/index/level-index.ts'
import type { Digest } from '../../../../src/oci/digest.ts'
import { globMatcher } from '../../../../src/oci/globs.ts'
import { compareVersions, parseSemanticVersion } from '../../../../src/oci/semantic-version.ts'
import { LinkGuard } from '../../../../src/registry/link-guard.ts'
import { Retention, type RetentionDecision } from '../../../../src/upkeep/retention/retention.ts'
import type { RetentionRule } from '../../../../src/upkeep/retention/rules.ts'
import {
  beginning,
  digestOf,
  putRepository,
  repositoryModels,
  type RepositoryModel,
} from '../../../fixtures/repository-model.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { readOnlyMode } from '../../../fixtures/read-only.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

const hour = 3600
const now = beginning + 200 * hour * 1000

let directory: TemporaryDirectory
let index: LevelIndex
before(async () => {
  directory = await temporaryDirectory('retention')
  index = new LevelIndex(directory.path)
  await index.open()
})
after(async () => {
  await index.close()
  await directory[Symbol.asyncDispose]()
})

const keeps = fc.record(
  {
    last: fc.integer({ min: 1, max: 3 }),
    pushedWithin: fc.integer({ min: 1, max: 200 }).map(hours => hours * hour),
    pulledWithin: fc.integer({ min: 1, max: 200 }).map(hours => hours * hour),
    tags: fc.constantFrom(['latest'], ['pr-*'], ['v*', '1*']),
    versions: fc.integer({ min: 1, max: 3 }),
    releases: fc.integer({ min: 1, max: 3 }),
  },
  { requiredKeys: [] },
)
const images = fc.constantFrom(['r'], ['r:pr-*'], ['r:*.*.*'], ['r:v*', 'r:latest'], ['other'])
const rules: fc.Arbitrary<RetentionRule[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ images, keep: keeps }) },
    fc.record({ images, untagged: fc.integer({ min: 1, max: 200 }).map(hours => hours * hour) }),
    fc.record({ images: fc.constantFrom(['r:prod-*'], ['r'], ['r:v1']), protect: fc.constant(true as const) }),
  ),
  { maxLength: 4 },
)

interface State {
  tags: Map<string, Digest>
  manifests: Set<Digest>
}

async function stateOf(repository: string): Promise<State> {
  const tags = await Array.fromAsync(index.tags(repository, { limit: -1, last: undefined }))
  const manifests = await Array.fromAsync(index.manifests(repository))
  return {
    tags: new Map(tags.map(({ tag, record }) => [tag, record.digest])),
    manifests: new Set(manifests.map(({ digest }) => digest)),
  }
}

let runs = 0

/** A repository of its own, in which retention ran; with what a dry run and the run itself said */
async function retain(
  model: RepositoryModel,
  given: readonly RetentionRule[],
): Promise<{ state: State; dry: RetentionDecision[]; wet: RetentionDecision[]; before: State }> {
  const repository = `r${runs++}`
  const change = index.change()
  putRepository(change, repository, model)
  await change.commit({ durable: false })
  const own = given.map(rule => ({ ...rule, images: rule.images.map(glob => glob.replace(/^r/, repository)) }))
  const pulls = new Map(Array.from(model.pulls, ([manifest, time]) => [digestOf(manifest), time]))
  const retention = new Retention(
    {
      index,
      links: new LinkGuard({ period: 0 }),
      pulls: { lastPulls: async () => pulls, since: beginning },
      condition: { requireWhole: () => {} },
      readOnly: readOnlyMode(),
      upgrade: { run: async () => {} },
      log: recordingLog(),
    },
    { rules: own, interval: 0, now: () => now },
  )
  const decisionsOf = async (dryRun: boolean): Promise<RetentionDecision[]> => {
    const found: RetentionDecision[] = []
    await retention.run({
      dryRun,
      onDecisions: some => {
        found.push(...some)
      },
    })
    return found
  }
  const before = await stateOf(repository)
  const dry = await decisionsOf(true)
  assert.deepEqual(await stateOf(repository), before, 'a dry run changes nothing')
  const wet = await decisionsOf(false)
  const state = await stateOf(repository)
  // what is left would be looked through by every run
  await index.change().deleteRepository(repository).commit({ durable: false })
  return { before, dry, wet, state }
}

/** Whether the tag belongs to a manifest that is there */
function isAttached({ manifests }: RepositoryModel, tag: string): boolean {
  const subject = /^sha256-([0-9a-f]{64})/.exec(tag)?.[1]
  return subject !== undefined && manifests.some((_, number) => digestOf(number) === `sha256:${subject}`)
}

/** Whether a rule is about a tag, said in the simplest way */
function isAbout(rule: RetentionRule, tag: string): boolean {
  return rule.images.some(glob => {
    const [repository, tags = '**'] = glob.split(':')
    return repository === 'r' && globMatcher([tags])(tag)
  })
}

/** Whether a rule keeps a tag, said in the simplest way */
function isKept(model: RepositoryModel, { keep = {}, ...rule }: RetentionRule, tag: string): boolean {
  const own = model.tags.filter(other => isAbout(rule, other.tag) && !isAttached(model, other.tag))
  const one = own.find(other => other.tag === tag)!
  const within = (time: number, seconds: number | undefined): boolean =>
    seconds !== undefined && time > now - seconds * 1000
  const higher = (isCounted: (tag: string) => boolean): number => {
    const version = parseSemanticVersion(tag)
    const others = own.flatMap(other => (isCounted(other.tag) ? [parseSemanticVersion(other.tag)] : []))
    const above = others.filter(
      other => other !== undefined && version !== undefined && compareVersions(other, version) > 0,
    )
    return version !== undefined && isCounted(tag)
      ? new Set(above.map(other => JSON.stringify([other!.numbers.map(String), other!.preRelease]))).size
      : Infinity
  }
  const later = own.filter(
    ({ tag: other, updated }) => updated > one.updated || (updated === one.updated && other > tag),
  )
  const pulled = (manifest: number): number =>
    Math.max(model.pulls.get(manifest) ?? beginning, ...model.manifests[manifest]!.children.map(pulled))
  return (
    (keep.tags !== undefined && globMatcher(keep.tags)(tag)) ||
    later.length < (keep.last ?? 0) ||
    within(one.updated, keep.pushedWithin) ||
    within(Math.max(one.updated, pulled(one.manifest)), keep.pulledWithin) ||
    higher(() => true) < (keep.versions ?? 0) ||
    higher(name => !name.includes('-')) < (keep.releases ?? 0)
  )
}

describe('retention, whatever a repository has', () => {
  const property = (
    check: (model: RepositoryModel, given: RetentionRule[]) => Promise<void>,
  ): fc.IAsyncProperty<unknown> => fc.asyncProperty(repositoryModels(), rules, check)

  it('does what its dry run said, and nothing the second time', async () => {
    await fc.assert(
      property(async (model, given) => {
        const { before, dry, state, wet } = await retain(model, given)
        assert.deepEqual(wet, dry)
        if (!given.some(rule => rule.images.some(glob => glob.startsWith('r')))) {
          assert.deepEqual(state, before)
          return
        }
        const deleted = dry.filter(({ action }) => action === 'delete')
        const tags = deleted.flatMap(({ tag }) => tag ?? [])
        const manifests = deleted.flatMap(({ digest, tag }) => (tag === undefined ? [digest] : []))
        assert.deepEqual(
          [...state.tags.keys()],
          [...before.tags.keys()].filter(tag => !tags.includes(tag)),
        )
        assert.deepEqual(
          [...state.manifests],
          [...before.manifests].filter(digest => !manifests.includes(digest)),
        )
        assert.equal(dry.filter(({ tag }) => tag !== undefined).length, before.tags.size, 'each tag is listed')
      }),
    )
  })

  it('deletes a tag exactly where a rule is about it and none keeps it', async () => {
    await fc.assert(
      property(async (model, given) => {
        const { state } = await retain(model, given)
        for (const { tag } of model.tags.filter(({ tag }) => !isAttached(model, tag))) {
          const about = given.filter(rule => isAbout(rule, tag))
          const goes =
            about.some(({ keep }) => keep !== undefined) &&
            about.every(rule => rule.protect !== true && (rule.keep === undefined || !isKept(model, rule, tag)))
          assert.equal(state.tags.has(tag), !goes, tag)
        }
      }),
    )
  })

  it('keeps all that what stays needs, and what belongs to it', async () => {
    await fc.assert(
      property(async (model, given) => {
        const { state } = await retain(model, given)
        state.tags.forEach((digest, tag) => {
          assert.ok(state.manifests.has(digest), `${tag} leads somewhere`)
        })
        for (const [number, { children, subject }] of model.manifests.entries()) {
          if (state.manifests.has(digestOf(number))) {
            assert.ok(
              children.every(child => state.manifests.has(digestOf(child))),
              `${number} has what it lists`,
            )
            assert.ok(subject === undefined || state.manifests.has(digestOf(subject)), `${number} has its subject`)
            const tag = model.tags.find(({ tag }) => tag.includes(digestOf(number).slice(7)))
            assert.ok(tag === undefined || state.tags.has(tag.tag), `${number} has what belongs to it`)
          } else if (subject !== undefined) {
            assert.ok(!state.manifests.has(digestOf(subject)), `${number} went with its subject`)
          }
        }
      }),
    )
  })

  it('deletes no manifest but those of tags that go, what came with them, and those without a tag for long', async () => {
    await fc.assert(
      property(async (model, given) => {
        const { before, state } = await retain(model, given)
        const mayGo = new Set<Digest>()
        const spread = (number: number): void => {
          if (mayGo.has(digestOf(number))) {
            return
          }
          mayGo.add(digestOf(number))
          model.manifests[number]!.children.forEach(spread)
          model.manifests.forEach(({ subject }, other) => {
            if (subject === number) {
              spread(other)
            }
          })
          model.tags
            .filter(({ tag }) => tag.includes(digestOf(number).slice(7)))
            .forEach(({ manifest }) => {
              spread(manifest)
            })
        }
        model.tags
          .filter(({ tag }) => !state.tags.has(tag))
          .forEach(({ manifest }) => {
            spread(manifest)
          })
        const untagged = given.filter(rule => rule.untagged !== undefined && rule.images[0]!.startsWith('r'))
        const isSpared = given.some(rule => rule.protect === true && rule.images.includes('r'))
        for (const [number, { updated }] of model.manifests.entries()) {
          const isOld = untagged.every(rule => updated <= now - rule.untagged! * 1000)
          if (untagged.length > 0 && !isSpared && isOld && ![...before.tags.values()].includes(digestOf(number))) {
            spread(number)
          }
        }
        assert.deepEqual(
          [...before.manifests].filter(digest => !state.manifests.has(digest) && !mayGo.has(digest)),
          [],
        )
      }),
    )
  })

  it('leaves no manifest of a tag that went, unless another manifest needs it', async () => {
    await fc.assert(
      property(async (model, given) => {
        const { before, state } = await retain(model, given)
        const tagged = new Set(state.tags.values())
        const needed = new Set(
          model.manifests.flatMap(({ children, subject }, number) =>
            state.manifests.has(digestOf(number))
              ? [...children, ...(subject === undefined ? [] : [subject])].map(digestOf)
              : [],
          ),
        )
        for (const [tag, digest] of before.tags) {
          const { subject } = model.manifests.find((_, number) => digestOf(number) === digest)!
          const belongs = subject !== undefined || isAttached(model, tag)
          if (!state.tags.has(tag) && !tagged.has(digest) && !needed.has(digest) && !belongs) {
            assert.ok(!state.manifests.has(digest), tag)
          }
        }
      }),
    )
  })
})
