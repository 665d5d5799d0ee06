import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadConfig, parseConfig } from '../../../src/config/load.ts'
import { problemsOf } from '../../fixtures/config-problems.ts'

const url = 'https://ci.example/hook'
const defaults = {
  name: 'ci',
  url,
  format: 'cloudevents',
  events: ['push', 'pull', 'delete', 'tag', 'policy', 'quota', 'repair'],
  repositories: ['**'],
  timeout: 10,
  queue: 10_000,
}

describe('webhooks of the configuration', () => {
  it('are a list, a mapping of names, flags, or a variable', () => {
    for (const webhooks of [[{ name: 'ci', url }], { ci: url }, { ci: { url } }, [`ci=${url}`]]) {
      assert.deepEqual(parseConfig({ webhooks }).webhooks, [defaults])
    }
    assert.deepEqual(loadConfig({ flags: { webhooks: [`ci=${url}`] }, env: {}, systemFile: '/none' }).webhooks, [
      defaults,
    ])
    assert.deepEqual(loadConfig({ env: { IPDR_WEBHOOKS: `ci=${url}` }, systemFile: '/none' }).webhooks, [defaults])
  })

  it('get what their format has, unless they say otherwise', () => {
    const [distribution, some] = parseConfig({
      webhooks: [
        { name: 'a', url, format: 'distribution' },
        { name: 'b', url, events: ['tag'], timeout: '500ms', queue: 5, secret: 's', ca: 'c', repositories: ['x/*'] },
      ],
    }).webhooks
    assert.deepEqual(distribution!.events, ['push', 'pull', 'delete'])
    assert.deepEqual([some!.events, some!.timeout, some!.queue, some!.repositories], [['tag'], 0.5, 5, ['x/*']])
  })

  const refused: Array<[webhook: Record<string, unknown>, problem: RegExp]> = [
    [{ url: 'ftp://ci.example' }, /webhooks\.0\.url.*must be an http or https URL/],
    [{ url: 'https://user:geheim@ci.example' }, /webhooks\.0\.url.*without a password/],
    [{ url: undefined }, /webhooks\.0\.url.*must be a URL/],
    [{ name: 'CI' }, /webhooks\.0\.name.*lower case/],
    [{ name: 'a:b' }, /webhooks\.0\.name/],
    [{ format: 'slack' }, /webhooks\.0\.format.*must be cloudevents or distribution/],
    [{ events: ['pushed'] }, /webhooks\.0\.events\.0.*must be one of push, pull/],
    [{ events: [] }, /webhooks\.0\.events.*must not be empty/],
    [
      { events: ['push', 'tag'], format: 'distribution' },
      /webhooks\.0\.events\.1.*can't be told in the format distribution/,
    ],
    [{ repositories: ['a b'] }, /webhooks\.0\.repositories\.0/],
    [{ timeout: '0s' }, /webhooks\.0\.timeout.*duration such as 10s/],
    [{ queue: 0 }, /webhooks\.0\.queue.*whole number from 1/],
    [{ secrets: 'x' }, /webhooks\.0.*unknown key, secrets/],
  ]
  for (const [webhook, problem] of refused) {
    it(`are refused with ${JSON.stringify(webhook)}`, () => {
      const message = problemsOf({ webhooks: [{ name: 'ci', url, ...webhook }] }).replace(/\[(\d+)\]/g, '.$1')
      assert.match(message, problem)
      assert.doesNotMatch(message, /geheim/)
    })
  }

  it('have each name once', () => {
    assert.match(problemsOf({ webhooks: [`ci=${url}`, `ci=${url}`] }), /listed twice/)
  })
})
