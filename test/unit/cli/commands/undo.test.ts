import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fakeServer } from '../../../fixtures/fake-server.ts'
import { ipdr } from '../ipdr.ts'

const time = '2026-11-30T14:05:11.230Z'
const [old, young] = [`sha256:${'0'.repeat(64)}`, `sha256:${'1'.repeat(64)}`]
const change = {
  state: 42,
  time,
  action: 'delete',
  repository: 'app',
  by: 'alice',
  tags: [{ tag: 'v2', before: old }],
  manifests: [{ digest: old, before: 'bafy' }],
  blobs: [],
}
const undone = {
  repository: 'app',
  to: 41,
  tags: [{ tag: 'v2', before: young, after: old }],
  restored: [old],
  removed: [],
}
const differences = {
  from: 40,
  to: 42,
  tags: [{ repository: 'app', tag: 'v2', after: old }],
  manifests: [{ repository: 'app', digest: old, after: 'bafy' }],
}
const pastTag = { tag: 'v2', digest: old, cid: 'bafy', deleted: true }
const nothing = { repository: 'app', to: 41, tags: [], restored: [], removed: [] }

/** What is sent, what is answered, and what is printed */
const cases: [args: string[], request: string, answer: unknown, out: string][] = [
  [
    ['history'],
    'GET /ipdr/v1/history?limit=100',
    { changes: [change], more: true },
    'STATE  TIME                      ACTION  BY     REPOSITORY  WHAT\n' +
      `42     ${time}  delete  alice  app         v2: sha256:000000000000 -> none, deleted sha256:000000000000\n` +
      'Older changes are left out; --limit lists more.\n',
  ],
  [
    ['history', 'app:v2', '--limit', '1', '--json'],
    'GET /ipdr/v1/history?name=app%3Av2&limit=1',
    { changes: [change], more: false },
    `${JSON.stringify({ changes: [change], more: false })}\n`,
  ],
  [
    ['history', 'app:v2', '--at', '41'],
    'GET /ipdr/v1/history/tags?name=app%3Av2&at=41',
    { repository: 'app', state: 41, tags: [pastTag], more: false },
    `TAG  DIGEST${' '.repeat(67)}CID   DELETED\nv2   ${old}  bafy  yes\n` +
      'What is deleted is pulled by "ipdr pull app:v2 --at 41".\n',
  ],
  [
    ['history', 'app', '--at', time, '--json'],
    `GET /ipdr/v1/history/tags?name=app&at=${encodeURIComponent(time)}`,
    { repository: 'app', state: 41, tags: [pastTag], more: false },
    `${JSON.stringify({ repository: 'app', state: 41, tags: [pastTag] })}\n`,
  ],
  [
    ['history', 'app', '--at', '0'],
    'GET /ipdr/v1/history/tags?name=app&at=0',
    { repository: 'app', state: 0, tags: [], more: false },
    'There was no tag of app in state 0.\n',
  ],
  [
    ['history', 'app', '--forget'],
    'POST /ipdr/v1/history/forget {"name":"app"}',
    { forgotten: 3 },
    '3 changes of app forgotten\n',
  ],
  [
    ['undo', 'app:v2'],
    'POST /ipdr/v1/undo {"name":"app:v2"}',
    undone,
    'app:v2 is as it was in state 41 again\nv2: sha256:111111111111 -> sha256:000000000000\n' +
      '1 manifests are back, 0 are gone\n',
  ],
  [
    ['undo', 'app', '--to', '41'],
    'POST /ipdr/v1/undo {"name":"app","to":41}',
    nothing,
    'app is as it was in state 41\n',
  ],
  [
    ['undo', 'app', '--to', time],
    `POST /ipdr/v1/undo {"name":"app","to":"${time}"}`,
    nothing,
    'app is as it was in state 41\n',
  ],
  [
    ['diff', '2026-11-30T15:05+01:00', time],
    `GET /ipdr/v1/diff?from=${encodeURIComponent('2026-11-30T14:05:00.000Z')}&to=${encodeURIComponent(time)}`,
    { ...differences, tags: [], manifests: [] },
    'Nothing differs between state 40 and state 42.\n',
  ],
  [
    ['diff', '40', '42'],
    'GET /ipdr/v1/diff?from=40&to=42',
    differences,
    `app:v2: none -> sha256:000000000000\napp@${old}: none -> bafy\n`,
  ],
  [
    ['diff', '40', '--repository', 'app'],
    'GET /ipdr/v1/diff?from=40&name=app',
    { ...differences, tags: [], manifests: [] },
    'Nothing differs between state 40 and state 42.\n',
  ],
]

describe('ipdr history, undo and diff', () => {
  for (const [args, request, answer, out] of cases) {
    it(args.join(' '), async () => {
      await using server = await fakeServer(({ body, method, url }, res) => {
        const isExpected = `${method} ${url} ${body}`.trim() === request
        res.writeHead(isExpected ? 200 : 404).end(JSON.stringify(answer))
      })
      const result = await ipdr([...args, '--docker-registry-host', server.host])
      assert.deepEqual(result, { code: 0, out, err: '' })
    })
  }

  it('take how long ago a state was', async () => {
    const asked: number[] = []
    await using server = await fakeServer(({ body }, res) => {
      asked.push(Date.now() - Date.parse((JSON.parse(body) as { to: string }).to))
      res.end(JSON.stringify(nothing))
    })
    for (const ago of ['2h', '3d']) {
      assert.equal((await ipdr(['undo', 'app', '--to', ago, '--docker-registry-host', server.host])).code, 0)
    }
    const hour = 3_600_000
    assert.deepEqual(
      asked.map(milliseconds => Math.floor(milliseconds / hour)),
      [2, 72],
    )
  })

  it('list the tags of one state, however many pages they are', async () => {
    await using server = await fakeServer(({ url }, res) => {
      const query = new URL(url ?? '', 'http://registry').searchParams
      const [at, last] = [query.get('at'), query.get('last')]
      const tag = { null: 'v1', v1: 'v2', v2: 'v3' }[String(last)]
      assert.ok(last === null ? at === time : at === '41', `${url}`)
      res.end(JSON.stringify({ repository: 'app', state: 41, tags: [{ ...pastTag, tag }], more: tag !== 'v3' }))
    })
    const args = ['history', 'app', '--at', time, '--json', '--docker-registry-host', server.host]
    const { tags } = JSON.parse((await ipdr(args)).out) as { tags: { tag: string }[] }
    assert.deepEqual(
      tags,
      ['v1', 'v2', 'v3'].map(tag => ({ ...pastTag, tag })),
    )
  })

  it('refuse a state that is neither a number nor a time, and to forget everything', async () => {
    for (const args of [
      ['undo', 'app', '--to', 'yesterday'],
      ['undo', 'app', '--to', '2026-11-30'],
      ['undo', 'app', '--to', '999999999999d'],
      ['undo', 'app', '--to', '1.5'],
      ['diff', 'x'],
      ['diff', '40', '2026-02-30T00:00:00Z'],
      ['history', '--forget'],
      ['history', '--at', '41'],
      ['history', 'app', '--at', '41', '--forget'],
      ['history', 'app', '--at', 'yesterday'],
    ]) {
      const { code, out } = await ipdr(args)
      assert.deepEqual({ code, out }, { code: 1, out: '' }, args.join(' '))
    }
  })
})
