/** Rules and passwords that are replaced while requests go on: each request is answered by one state of them */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { basic, type TestAccessInit } from '../fixtures/access.ts'
import { json, TestApp } from '../fixtures/app.ts'
import { descriptorOf, emptyJson, imageManifest, ociManifest } from '../fixtures/manifests.ts'

/** They differ in a password, in rules, in groups and in tags; `same` has one password, and is in another group */
const states: Record<'a' | 'b', TestAccessInit> = {
  a: {
    users: { changed: 'password-a', same: 'password' },
    rules: `
      groups: { first: [same] }
      rules:
        - { who: [anonymous], repositories: ['public-a/**'], actions: [pull] }
        - { who: ['user:changed'], repositories: ['only-a/**'], actions: [pull] }
        - { who: ['group:second'], repositories: ['groups/**'], actions: [pull] }
        - { who: ['user:same'], repositories: ['tags/**'], actions: [push, tag], tags: ['a*'] }`,
  },
  b: {
    users: { changed: 'password-b', same: 'password' },
    rules: `
      groups: { second: [same] }
      rules:
        - { who: [anonymous], repositories: ['public-b/**'], actions: [pull] }
        - { who: ['user:changed'], repositories: ['only-b/**'], actions: [pull] }
        - { who: ['group:first'], repositories: ['groups/**'], actions: [pull] }
        - { who: ['user:same'], repositories: ['tags/**'], actions: [push, tag], tags: ['b*'] }`,
  },
}

interface Question {
  method: 'GET' | 'PUT'
  path: string
  headers?: Record<string, string>
  body?: Buffer
  /** What state a answers, and what state b does; of a token, its scope */
  outcomes: [a: string, b: string]
}

const manifest = imageManifest({ layers: [descriptorOf(emptyJson)] })
const [byA, byB] = [basic('changed', 'password-a'), basic('changed', 'password-b')]
const push = { ...basic('same', 'password'), 'Content-Type': ociManifest }
const questions: Question[] = [
  { method: 'GET', path: '/v2/only-b/app/manifests/v1', headers: byA, outcomes: ['403', '401'] },
  { method: 'GET', path: '/v2/only-a/app/manifests/v1', headers: byB, outcomes: ['401', '403'] },
  { method: 'GET', path: '/v2/only-a/app/manifests/v1', headers: byA, outcomes: ['404', '401'] },
  { method: 'GET', path: '/auth/token?scope=repository:only-b/app:pull', headers: byA, outcomes: ['200 ', '401'] },
  { method: 'GET', path: '/auth/token?scope=repository:only-a/app:pull', headers: byB, outcomes: ['401', '200 '] },
  {
    method: 'GET',
    path: '/v2/groups/app/manifests/v1',
    headers: basic('same', 'password'),
    outcomes: ['403', '403'],
  },
  {
    // two tags at once, of which either state allows only one
    method: 'PUT',
    path: '/v2/tags/app/manifests/a1?tag=b1',
    headers: push,
    body: manifest,
    outcomes: ['403', '403'],
  },
  { method: 'GET', path: '/v2/public-a/app/manifests/v1', outcomes: ['404', '401'] },
  { method: 'GET', path: '/v2/public-b/app/manifests/v1', outcomes: ['401', '404'] },
]

const rounds = 25
const atOnce = 12

describe('rules and passwords that are replaced under load', () => {
  let app: TestApp
  before(async () => {
    app = await TestApp.start({ access: states.a })
  })
  after(async () => {
    await app[Symbol.asyncDispose]()
  })

  it('answer each question by one state, never by some of each', async () => {
    let state: keyof typeof states = 'a'
    const swapping = setInterval(() => {
      state = state === 'a' ? 'b' : 'a'
      app.access.change(states[state])
    }, 7)
    const seen = new Map<Question, Set<string>>(questions.map(question => [question, new Set()]))
    try {
      const waiting = Array.from({ length: rounds }, () => questions).flat()
      let count = 0
      await Promise.all(
        Array.from({ length: atOnce }, async () => {
          for (let question = waiting.pop(); question !== undefined; question = waiting.pop()) {
            seen.get(question)!.add(await outcomeOf(question, count++))
          }
        }),
      )
    } finally {
      clearInterval(swapping)
    }
    for (const [{ method, path, outcomes }, found] of seen) {
      assert.deepEqual([...found].sort(), [...new Set(outcomes)].sort(), `${method} ${path}`)
    }
  })

  /** From an address of its own, as each may show only so many wrong passwords */
  async function outcomeOf({ method, path, headers = {}, body }: Question, count: number): Promise<string> {
    const reply = await app.request(method, path, {
      localAddress: `127.0.${1 + Math.floor(count / 200)}.${1 + (count % 200)}`,
      headers,
      ...(body === undefined ? {} : { body }),
    })
    return reply.status === 200 && path.startsWith('/auth/')
      ? `200 ${(json(reply) as { scope: string }).scope}`
      : String(reply.status)
  }
})
