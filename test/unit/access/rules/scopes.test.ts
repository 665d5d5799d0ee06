import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseScopes } from '../../../../src/access/rules/scopes.ts'
import { isName } from '../../../../src/oci/reference.ts'

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

  it('are at most a hundred', () => {
    const scope = 'repository:a:pull'
    for (const values of [Array<string>(300).fill(scope), [Array<string>(300).fill(scope).join(' ')]]) {
      assert.equal(parseScopes(values).length, 100)
    }
  })

  it('are read or left out, whatever stands there', () => {
    const part = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.constantFrom('repository', 'registry', 'a', 'pull', ':', ','),
    )
    fc.assert(
      fc.property(fc.array(part), parts => {
        for (const { type, name, actions } of parseScopes([parts.join(':')])) {
          assert.ok(type === 'repository' ? isName(name) : name === 'catalog')
          assert.equal(new Set(actions).size, actions.length)
        }
      }),
    )
  })
})
