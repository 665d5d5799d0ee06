import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runTenants } from '../fixtures/tenants/tenants-model.ts'

const minute = 60_000
/** `npm run soak -- tenants` and `thief` do 20,000 */
const actions = 450

for (const { title, rules } of [
  { title: 'a stranger harms nobody else, whatever is pushed, pulled or delivered', rules: false },
  { title: 'a stranger reads nothing that the rules give to others alone', rules: true },
]) {
  test(title, { timeout: 10 * minute }, async t => {
    const seed = process.env.TENANTS_SEED ?? String(Date.now())
    t.diagnostic(`TENANTS_SEED=${seed}`)
    assert.deepEqual(
      await runTenants({
        seed,
        actions,
        rules,
        print: line => {
          t.diagnostic(line)
        },
      }),
      [],
    )
  })
}
