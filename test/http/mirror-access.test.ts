import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { basic, bearer } from '../fixtures/access.ts'
import { json, TestApp } from '../fixtures/app.ts'
import { FakeUpstream } from '../fixtures/fake-upstream.ts'
import { sha256 } from '../fixtures/images.ts'
import { addImage } from '../fixtures/mirrored-image.ts'

const rules = `
rules:
  - {who: ['user:ann'], repositories: ['docker.io/library/**'], actions: [pull]}
  - {who: ['user:bob'], repositories: ['library/**', 'own/**'], actions: [pull, push]}
`
const access = { rules, users: { ann: 'secret', bob: 'secret' } }
const mirror = { fallback: 'docker.io' }

describe('a mirror with rules', () => {
  it('gives an image to who may pull the name with the upstream, whichever way he asks', async () => {
    const upstream = new FakeUpstream()
    const { layers } = addImage(upstream, 'library/alpine', 'latest', [100])
    await using app = await TestApp.start({ upstreams: [upstream], mirror, access })
    const paths = [`manifests/latest`, `blobs/${sha256(layers[0]!)}`, 'tags/list'].flatMap(rest => [
      `/v2/docker.io/library/alpine/${rest}`,
      `/v2/library/alpine/${rest}?ns=docker.io`,
      `/v2/library/alpine/${rest}`,
    ])
    for (const path of paths) {
      assert.equal((await app.get(path)).status, 401, path)
      assert.equal((await app.get(path, basic('bob', 'secret'))).status, 403, path)
    }
    assert.deepEqual(upstream.requests, [])
    for (const path of paths) {
      assert.equal((await app.get(path, basic('ann', 'secret'))).status, 200, path)
    }
    for (const path of paths) {
      assert.equal((await app.get(path, basic('bob', 'secret'))).status, 403, path)
    }
  })

  it('names the scope of the token, with which containerd gets on', async () => {
    const upstream = new FakeUpstream()
    addImage(upstream, 'library/alpine', 'latest', [100])
    await using app = await TestApp.start({ upstreams: [upstream], access })
    const path = '/v2/library/alpine/manifests/latest?ns=docker.io'
    const challenge = String((await app.get(path)).headers['www-authenticate'])
    const scope = /scope="([^"]+)"/.exec(challenge)![1]!
    assert.equal(scope, 'repository:docker.io/library/alpine:pull')
    // containerd asks for this one, and for what it has made of the name itself
    const query = [scope, 'repository:library/alpine:pull'].map(text => `scope=${encodeURIComponent(text)}`).join('&')
    const { token } = json(await app.get(`/auth/token?service=ipdr&${query}`, basic('ann', 'secret'))) as {
      token: string
    }
    assert.equal((await app.get(path, bearer(token))).status, 200)
  })

  it('tells caches and the log of the name that a blob is of, not of the one that was asked for', async () => {
    const upstream = new FakeUpstream()
    const { layers } = addImage(upstream, 'library/alpine', 'latest', [100])
    const open = `${rules}  - {who: [anonymous], repositories: ['library/**'], actions: [pull]}\n`
    for (const [text, own] of [
      [open, 'public'],
      [rules, undefined],
    ] as const) {
      await using app = await TestApp.start({ upstreams: [upstream], mirror, access: { ...access, rules: text } })
      await app.stores.pushBlob('library/alpine', Buffer.from('own'))
      const blob = async (bytes: Buffer): Promise<[number, string | undefined]> => {
        const reply = await app.get(`/v2/library/alpine/blobs/${sha256(bytes)}`, basic('ann', 'secret'))
        return [reply.status, reply.headers['cache-control']?.split(',')[0]]
      }
      assert.deepEqual(await blob(layers[0]!), [200, 'private'])
      assert.deepEqual(
        app.stores.logged.filter(({ message }) => message === 'denied'),
        [],
      )
      assert.deepEqual(await blob(Buffer.from('own')), own === undefined ? [404, undefined] : [200, own])
    }
  })

  it('gives a token for what the name stands for, as docker asks for no other', async () => {
    const upstream = new FakeUpstream()
    const { layers } = addImage(upstream, 'library/alpine', 'latest', [100])
    await using app = await TestApp.start({ upstreams: [upstream], mirror, access })
    const tokenOf = async (user: string, name: string, action = 'pull'): Promise<Record<string, string>> => {
      const scope = encodeURIComponent(`repository:${name}:${action}`)
      const { token } = json(await app.get(`/auth/token?service=ipdr&scope=${scope}`, basic(user, 'secret'))) as {
        token: string
      }
      return bearer(token)
    }
    const statusOf = async (path: string, headers: Record<string, string>): Promise<number> =>
      (await app.get(path, headers)).status
    for (const path of ['manifests/latest', `blobs/${sha256(layers[0]!)}`]) {
      assert.equal(await statusOf(`/v2/library/alpine/${path}`, await tokenOf('ann', 'library/alpine')), 200)
      assert.equal(await statusOf(`/v2/alpine/${path}`, await tokenOf('ann', 'alpine')), 200)
      for (const headers of [
        await tokenOf('ann', 'library/other'),
        await tokenOf('ann', 'library/alpine', 'push'),
        await tokenOf('ann', 'docker.io/library/other'),
        await tokenOf('ann', 'quay.io/library/alpine'),
      ]) {
        assert.equal(await statusOf(`/v2/library/alpine/${path}`, headers), 401)
      }
      assert.equal(await statusOf(`/v2/library/alpine/${path}`, await tokenOf('bob', 'library/alpine')), 403)
    }
  })

  it('gives a blob of a private repository to nobody because an image of the upstream names it', async () => {
    const upstream = new FakeUpstream()
    const secret = Buffer.from('a secret blob of somebody else')
    addImage(upstream, 'library/alpine', 'latest', [100])
    await using app = await TestApp.start({ upstreams: [upstream], access })
    await app.stores.pushBlob('own/private', secret)
    const path = `/v2/docker.io/library/alpine/blobs/${sha256(secret)}`
    assert.equal((await app.get(path, basic('ann', 'secret'))).status, 404)
    upstream.addBlob('library/alpine', secret)
    const reply = await app.get(path, basic('ann', 'secret'))
    assert.deepEqual([reply.status, reply.body], [200, secret])
    assert.equal(upstream.sent, 1)
  })
})
