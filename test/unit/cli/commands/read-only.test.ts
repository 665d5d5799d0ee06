import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fakeServer } from '../../../fixtures/fake-server.ts'
import { ipdr } from '../ipdr.ts'

const since = '2026-11-30T14:05:11.230Z'
const on = { readOnly: true, since, reason: 'moving', pending: 0 }
const off = { readOnly: false, pending: 0 }

/** What is sent, what is answered, and what is printed */
const cases: [args: string[], request: string, answer: unknown, out: string][] = [
  [[], 'GET /ipdr/v1/read-only', off, 'takes writes\n'],
  [[], 'GET /ipdr/v1/read-only', on, `read-only since ${since}: moving\n`],
  [['on'], 'POST /ipdr/v1/read-only {"on":true}', { ...on, reason: undefined }, `read-only since ${since}\n`],
  [
    ['on', '--reason', 'moving'],
    'POST /ipdr/v1/read-only {"on":true,"reason":"moving"}',
    { ...on, pending: 2 },
    `read-only since ${since}: moving\n2 writes are still under way\n`,
  ],
  [['off'], 'POST /ipdr/v1/read-only {"on":false}', off, 'takes writes\n'],
  [['off', '--json'], 'POST /ipdr/v1/read-only {"on":false}', off, `${JSON.stringify(off)}\n`],
]

describe('ipdr read-only', () => {
  for (const [args, request, answer, out] of cases) {
    it(`${args.join(' ')}: ${out.trim()}`, async () => {
      await using server = await fakeServer(({ body, method, url }, res) => {
        const isExpected = `${method} ${url} ${body}`.trim() === request
        res.writeHead(isExpected ? 200 : 404).end(JSON.stringify(answer))
      })
      const result = await ipdr(['read-only', ...args, '--docker-registry-host', server.host])
      assert.deepEqual(result, { code: 0, out, err: '' })
    })
  }

  it('takes a reason only for on, and no third state', async () => {
    for (const args of [['off', '--reason', 'x'], ['--reason', 'x'], ['maybe']]) {
      const { code, out } = await ipdr(['read-only', ...args])
      assert.deepEqual({ code, out }, { code: 1, out: '' }, args.join(' '))
    }
  })
})
