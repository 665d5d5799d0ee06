import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import picomatch from 'picomatch'
import type { Identity } from '../../../../src/access/rules/identity.ts'
import { Rules, type Rule } from '../../../../src/access/rules/rules.ts'

const allow = (subjects: string[], repositories: string[], actions: Rule['actions'], tags?: string[]): Rule => ({
  source: `${subjects} ${repositories}`,
  effect: 'allow',
  subjects,
  repositories,
  actions,
  tags,
})
const deny = (...rule: Parameters<typeof allow>): Rule => ({ ...allow(...rule), effect: 'deny' })
const user = (name: string, groups: string[] = [], address?: string): Identity => ({
  kind: 'user',
  name,
  groups,
  address,
})
const stranger: Identity = { kind: 'anonymous', name: 'anonymous', groups: [] }

describe('rules', () => {
  it('refuse what none allows', () => {
    assert.deepEqual(new Rules([]).decide(user('a'), { action: 'pull', repository: 'r' }), {
      allowed: false,
      rule: undefined,
    })
  })

  it('tell whether one allows anything to a subject by its own name', () => {
    const rules = new Rules([
      allow(['peer:a', 'anonymous'], ['r'], ['pull']),
      deny(['peer:b'], ['r'], ['pull']),
      allow(['user:c'], ['r'], ['pull']),
    ])
    const named = ['peer:a', 'peer:b', 'peer:c'].filter(subject => rules.allowsBySubject(subject))
    assert.deepEqual(named, ['peer:a'])
  })

  it('match subjects', () => {
    const cases: [string, Identity, boolean][] = [
      ['anonymous', stranger, true],
      ['anonymous', user('a'), true],
      ['authenticated', stranger, false],
      ['authenticated', user('a'), true],
      ['user:a', user('a'), true],
      ['user:a', user('b'), false],
      ['user:a', { kind: 'peer', name: 'a', groups: [] }, false],
      ['peer:a', { kind: 'peer', name: 'a', groups: [] }, true],
      ['peer:a', user('a'), false],
      ['authenticated', { kind: 'peer', name: 'a', groups: [] }, false],
      ['swarm', { kind: 'peer', name: 'a', groups: [], inSwarm: true }, true],
      ['swarm', { kind: 'peer', name: 'a', groups: ['swarm'] }, false],
      ['group:g', user('a', ['g']), true],
      ['group:g', user('a', ['h']), false],
      ['group:swarm', user('a', ['swarm']), true],
      ['network:10.0.0.0/8', user('a', [], '10.1.2.3'), true],
      ['network:10.0.0.0/8', user('a', [], '::ffff:10.1.2.3'), true],
      ['network:10.0.0.0/8', user('a', [], '11.1.2.3'), false],
      ['network:10.0.0.0/8', user('a'), false],
      ['network:fd00::/8', user('a', [], 'fd00::1'), true],
      ['network:192.0.2.1', user('a', [], '192.0.2.1'), true],
    ]
    for (const [subject, identity, expected] of cases) {
      const rules = new Rules([allow([subject], ['**'], ['pull'])])
      assert.equal(
        rules.decide(identity, { action: 'pull', repository: 'r' }).allowed,
        expected,
        `${subject} ${JSON.stringify(identity)}`,
      )
    }
  })

  it('match repositories', () => {
    const cases: [string, string, boolean][] = [
      ['team/app', 'team/app', true],
      ['team/app', 'team/app2', false],
      ['team/app', 'team/app/x', false],
      ['team/*', 'team/app', true],
      ['team/*', 'team/app/x', false],
      ['team/*', 'team', false],
      ['team/**', 'team/app/x', true],
      ['**', 'a/b/c', true],
      ['*', 'a/b', false],
      ['*/app', 'team/app', true],
      ['team-*/app', 'team-1/app', true],
      ['{a,b}/x', 'b/x', true],
      ['a.b/*', 'a.b/.c', true],
      ['a.b/*', 'axb/c', false],
    ]
    for (const [pattern, repository, expected] of cases) {
      const rules = new Rules([allow(['anonymous'], [pattern], ['pull'])])
      assert.equal(rules.decide(stranger, { action: 'pull', repository }).allowed, expected, `${pattern} ${repository}`)
    }
  })

  it('limit tags where a tag is named', () => {
    const rules = new Rules([
      allow(['anonymous'], ['**'], ['push', 'tag'], ['v*']),
      allow(['anonymous'], ['**'], ['delete']),
      deny(['anonymous'], ['**'], ['delete'], ['v*']),
    ])
    const may = (action: Rule['actions'][number], tag?: string): boolean =>
      rules.decide(stranger, { action, repository: 'r', tag }).allowed
    assert.deepEqual(
      [may('push', 'v1'), may('push', 'x'), may('push'), may('delete', 'v1'), may('delete', 'x'), may('delete')],
      [true, false, true, false, true, true],
    )
  })

  it('that allow some tags allow nothing that any tag may need', () => {
    const rules = new Rules([allow(['anonymous'], ['a'], ['delete'], ['v*']), allow(['anonymous'], ['b'], ['delete'])])
    const may = (repository: string): boolean =>
      rules.decide(stranger, { action: 'delete', repository, concernsAnyTag: true }).allowed
    assert.deepEqual([may('a'), may('b')], [false, true])
  })

  it('know who may do something everywhere', () => {
    assert.ok(new Rules([allow(['anonymous'], ['**'], ['pull'])]).allowsEverywhere(stranger, 'pull'))
    assert.ok(!new Rules([allow(['anonymous'], ['public/**'], ['pull'])]).allowsEverywhere(stranger, 'pull'))
    assert.ok(!new Rules([allow(['anonymous'], ['**'], ['pull'], ['v*'])]).allowsEverywhere(stranger, 'pull'))
    const withDeny = new Rules([allow(['anonymous'], ['**'], ['pull']), deny(['anonymous'], ['a/b'], ['pull'])])
    assert.ok(!withDeny.allowsEverywhere(stranger, 'pull'))
  })

  it('decide as a plain look at each of them does, in any order', () => {
    const segment = fc.constantFrom('a', 'b', 'c')
    const name = fc.array(segment, { minLength: 1, maxLength: 3 }).map(parts => parts.join('/'))
    const pattern = fc
      .array(fc.oneof(segment, fc.constantFrom('*', '**', 'a*', '{a,b}')), { minLength: 1, maxLength: 3 })
      .map(parts => parts.join('/'))
    const subject = fc.constantFrom('anonymous', 'authenticated', 'user:a', 'user:b', 'group:g')
    const rule = fc.record({
      source: fc.constant('x'),
      effect: fc.constantFrom('allow' as const, 'allow' as const, 'deny' as const),
      subjects: fc.array(subject, { minLength: 1, maxLength: 2 }),
      repositories: fc.array(pattern, { minLength: 1, maxLength: 2 }),
      actions: fc.array(fc.constantFrom('pull' as const, 'push' as const), { minLength: 1 }),
    })
    const identity = fc.constantFrom(stranger, user('a'), user('b', ['g']))
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 8 }), identity, name, (list, who, repository) => {
        const subjects =
          who.kind === 'anonymous'
            ? ['anonymous']
            : ['anonymous', 'authenticated', `user:${who.name}`, ...who.groups.map(group => `group:${group}`)]
        const matching = list.filter(
          each =>
            each.actions.includes('pull') &&
            each.subjects.some(one => subjects.includes(one)) &&
            each.repositories.some(one => picomatch.isMatch(repository, one, { dot: true })),
        )
        const expected = matching.length > 0 && matching.every(({ effect }) => effect === 'allow')
        for (const rules of [list, list.toReversed()]) {
          assert.equal(new Rules(rules).decide(who, { action: 'pull', repository }).allowed, expected)
        }
      }),
      { numRuns: 2000 },
    )
  })
})
