import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseScopes } from '../../../src/access/scopes.ts'

describe('scopes of docker', () => {
  it('name a repository and what is to be done there', () => {
    const cases: [string[], unknown][] = [
      [['repository:team/app:pull'], [{ type: 'repository', name: 'team/app', actions: ['pull'] }]],
      [
        ['repository:a:pull,push repository:b:pull'],
        [
          { type: 'repository', name: 'a', actions: ['pull', 'push', 'tag'] },
          { type: 'repository', name: 'b', actions: ['pull'] },
        ],
      ],
      [['repository(plugin):a:delete'], [{ type: 'repository', name: 'a', actions: ['delete'] }]],
      [['repository:a:*'], [{ type: 'repository', name: 'a', actions: ['pull', 'push', 'tag', 'delete', 'admin'] }]],
      [
        ['registry:catalog:*'],
        [{ type: 'registry', name: 'catalog', actions: ['pull', 'push', 'tag', 'delete', 'admin'] }],
      ],
      [['repository:a:fly'], [{ type: 'repository', name: 'a', actions: [] }]],
      [['', 'nonsense', 'repository:A:pull', 'repository::pull', 'registry:other:*'], []],
    ]
    for (const [values, expected] of cases) {
      assert.deepEqual(parseScopes(values), expected)
    }
  })

  it('are at most a hundred, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 300 }), values => {
        assert.ok(parseScopes(values).length <= 100)
      }),
    )
  })
})
