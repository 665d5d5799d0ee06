import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runKeptModel } from '../fixtures/kept/kept-model.ts'

const minute = 60_000
/** `npm run soak -- kept` takes 20,000 */
const manifests = 200

test('whatever a manifest names is there as long as the manifest is', { timeout: 10 * minute }, async t => {
  const seed = process.env.KEPT_SEED ?? String(Date.now())
  t.diagnostic(`KEPT_SEED=${seed}`)
  assert.deepEqual(
    await runKeptModel({
      seed,
      manifests,
      print: line => {
        t.diagnostic(line)
      },
    }),
    [],
  )
})
