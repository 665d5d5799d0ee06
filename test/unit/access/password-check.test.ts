import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hashSync } from 'bcryptjs'
import { parsePasswords, PasswordCheck } from '../../../src/access/files/htpasswd.ts'

const passwords = parsePasswords('htpasswd', `low:${hashSync('right', 4)}\nhigh:${hashSync('right', 5)}\n`)

/** Counts what is compared, at which cost, and compares nothing */
function counting(): { check: PasswordCheck; costs: number[] } {
  const costs: number[] = []
  const comparison = {
    isBusy: false,
    matches: async (_password: string, hash: string) => {
      costs.push(Number(hash.split('$')[2]))
      return false
    },
  }
  return { check: new PasswordCheck({ comparison }), costs }
}

describe('a wrong password', () => {
  it('costs one comparison, whether there is such a user or not', async () => {
    for (const [user, password] of [
      ['low', 'wrong'],
      ['high', 'wrong'],
      ['nobody', 'wrong'],
      ['', ''],
      ['low', 'x'.repeat(73)],
      ['nobody', 'x'.repeat(73)],
    ] as const) {
      const { check, costs } = counting()
      assert.equal(await check.isRight(passwords, user, password), false)
      assert.equal(costs.length, 1, `${user} ${password}`)
    }
  })

  it('costs strangers what it costs one of the users, the same each time', async () => {
    const { check, costs } = counting()
    const names = Array.from({ length: 64 }, (_, i) => `nobody-${i}`)
    for (const name of [...names, ...names]) {
      await check.isRight(passwords, name, 'wrong')
    }
    assert.deepEqual(costs.slice(0, names.length), costs.slice(names.length))
    assert.deepEqual([...new Set(costs)].sort(), [4, 5], 'neither cost says that there is such a user')
  })

  it('costs a comparison where there are no users at all', async () => {
    const { check, costs } = counting()
    assert.equal(await check.isRight(new Map(), 'nobody', 'wrong'), false)
    assert.deepEqual(costs, [10])
  })
})
