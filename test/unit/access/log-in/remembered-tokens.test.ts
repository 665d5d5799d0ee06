import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { AccessState } from '../../../../src/access/files/access-files.ts'
import { RememberedTokens } from '../../../../src/access/log-in/remembered-tokens.ts'
import type { Scope } from '../../../../src/access/rules/scopes.ts'

const state = {} as AccessState
const header = 'Bearer a.token.of-ours'
const identity = { kind: 'user', name: 'alice', groups: ['team'], address: '192.0.2.1' } as const
const scopes: Scope[] = [{ type: 'repository', name: 'a/b', actions: ['pull'] }]

function remembering(until = Infinity): RememberedTokens {
  const tokens = new RememberedTokens()
  tokens.add(state, header, { identity, scopes }, until)
  return tokens
}

it('tells who showed a token, wherever he shows it now', () => {
  const tokens = remembering()
  for (const address of ['192.0.2.1', '192.0.2.2', undefined]) {
    const { identity: found, scopes: forWhat } = tokens.get(state, header, address)!
    assert.deepEqual([found, forWhat], [{ ...identity, address }, scopes])
  }
  assert.equal(tokens.get(state, `${header}x`, identity.address), undefined)
})

it('forgets a token that has expired', t => {
  t.mock.timers.enable({ apis: ['Date'], now: 1000 })
  const tokens = remembering(2000)
  t.mock.timers.setTime(1999)
  assert.notEqual(tokens.get(state, header, identity.address), undefined)
  t.mock.timers.setTime(2000)
  assert.equal(tokens.get(state, header, identity.address), undefined)
})

it('forgets all where rules, passwords or keys were read again', () => {
  const tokens = remembering()
  const next = { ...state }
  assert.equal(tokens.get(next, header, identity.address), undefined)
  tokens.add(next, `${header}x`, { identity, scopes }, Infinity)
  assert.equal(tokens.get(next, header, identity.address), undefined)
  assert.equal(tokens.get(state, header, identity.address), undefined)
})

it('keeps no more than some megabytes', () => {
  const tokens = new RememberedTokens()
  const headers = Array.from({ length: 100 }, (_, i) => `${i} ${'x'.repeat(60_000)}`)
  headers.forEach(each => {
    tokens.add(state, each, { identity, scopes }, Infinity)
  })
  const kept = headers.filter(each => tokens.get(state, each, identity.address) !== undefined)
  assert.ok(kept.length > 0 && kept.length * 60_000 <= 2 * 1024 * 1024, `${kept.length} tokens`)
})
