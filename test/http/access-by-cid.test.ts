import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { basic, bearer } from '../fixtures/access.ts'
import { json, TestApp, type Reply } from '../fixtures/app.ts'
import { randomBytes, sha256 } from '../fixtures/images.ts'
import { descriptorOf, imageManifest } from '../fixtures/manifests.ts'

const rules = `
rules:
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: ['user:reader'], repositories: ['team/**'], actions: [pull] }
  - { who: ['user:boss'], repositories: ['**'], actions: [pull, push, tag, delete, admin] }
`
const users = { reader: 'reader-pw', other: 'other-pw', boss: 'boss-pw' }
const [reader, other, boss] = [basic('reader', 'reader-pw'), basic('other', 'other-pw'), basic('boss', 'boss-pw')]
const base = randomBytes(1000, 'base layer of everybody')
const secret = randomBytes(2 * 1024 * 1024, 'layer of the team')
const removed = Buffer.from('was a layer of the team')
const name = 'k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r'

let app: TestApp
let roots: { team: string; open: string; unknown: string }

async function pushImage(repository: string, layers: readonly Buffer[]): Promise<string> {
  await app.pushEmptyConfig(repository)
  for (const layer of layers) {
    await app.pushBlob(repository, layer)
  }
  const manifest = imageManifest({ layers: layers.map(layer => descriptorOf(layer)), annotations: { repository } })
  const { headers, status } = await app.pushManifest(repository, 'v1', manifest)
  assert.equal(status, 201)
  return String(headers['x-ipfs-cid'])
}

/** Ways to ask for an image by its root */
function pathsOf(root: string): string[] {
  return [
    `/v2/${root}/manifests/latest`,
    `/v2/ipfs/${root}/manifests/latest`,
    `/v2/${root}/tags/list`,
    `/v2/${root}/blobs/${sha256(secret)}`,
    `/v2/${root}/blobs/${sha256(base)}`,
    `/dig?q=${root}:latest`,
    `/dig?q=${root}`,
  ]
}

function told({ status, body, headers }: Reply, root: string): unknown {
  const { date, 'x-request-id': _, ...rest } = headers
  return [status, String(body), JSON.stringify(rest)].map(text => String(text).replaceAll(root, '<root>'))
}

before(async () => {
  app = await TestApp.start({ access: {} })
  roots = {
    team: await pushImage('team/app', [base, secret, removed]),
    open: await pushImage('public/app', [base]),
    unknown: 'bafybeihntvt5jkdp32qt36ooilcjgmln3c2jxnov4brhzpuke35dtmwa5m',
  }
  await app.stores.repository('team/app').deleteBlob(sha256(removed))
  app.stores.targets.set(name, { cid: roots.team, path: [] })
  app.access.change({ rules, users })
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

describe('an image by the CID of its root', () => {
  it('is for who may pull a repository that has it, with all of its parts', async () => {
    for (const path of pathsOf(roots.team)) {
      for (const headers of [reader, boss]) {
        assert.equal((await app.get(path, headers)).status, 200, path)
      }
    }
    const layer = await app.get(`/v2/${roots.team}/blobs/${sha256(secret)}`, reader)
    assert.ok(layer.body.equals(secret))
    for (const path of pathsOf(roots.open).filter(path => !path.includes(sha256(secret)))) {
      assert.equal((await app.get(path)).status, 200, path)
    }
  })

  it('looks to others like one that is not here, whatever they ask', async () => {
    for (const [i, path] of pathsOf(roots.team).entries()) {
      for (const headers of [{}, other]) {
        for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
          const [there, missing] = [
            await app.request(method, path, { headers }),
            await app.request(method, pathsOf(roots.unknown)[i]!, { headers }),
          ]
          assert.deepEqual(told(there, roots.team), told(missing, roots.unknown))
          assert.ok([401, 403, 405].includes(there.status), `${method} ${path}: ${there.status}`)
        }
      }
    }
    assert.equal((await app.get(pathsOf(roots.unknown)[0]!, reader)).status, 403)
  })

  it('takes a refusal as long whether it is here or not, and fetches nothing for it', async () => {
    const fetched: unknown[] = []
    app.stores.deliver = cid => {
      fetched.push(cid)
      return undefined
    }
    for (const root of [roots.team, roots.unknown]) {
      const began = performance.now()
      assert.equal((await app.get(`/v2/${root}/manifests/latest`)).status, 401)
      assert.ok(performance.now() - began > 8)
    }
    assert.deepEqual(fetched, [])
  })

  it('has nothing of what its repository has no more', async () => {
    const path = `/v2/${roots.team}/blobs/${sha256(removed)}`
    assert.equal((await app.get(path, reader)).status, 404)
    assert.equal((await app.get(path, boss)).status, 200)
  })

  it('is found by an IPNS name under the same rules', async () => {
    const path = `/v2/${name}/manifests/latest`
    assert.equal((await app.get(path, reader)).status, 200)
    const nowhere = name.replace(/2r$/, '3r')
    for (const headers of [{}, other]) {
      const [there, missing] = [await app.get(path, headers), await app.get(`/v2/${nowhere}/manifests/latest`, headers)]
      assert.deepEqual(told(there, name), told(missing, nowhere))
    }
    assert.equal((await app.get(path)).status, 401)
    assert.equal((await app.get(path, other)).status, 403)
  })

  it('is pulled with a token for it, as clients do', async () => {
    const ask = async (headers: Record<string, string>, scope: string): Promise<number> => {
      const { token } = json(await app.get(`/auth/token?scope=${scope}`, headers)) as { token: string }
      const path = `/v2/${roots.team}/manifests/latest`
      return (await app.get(path, bearer(token))).status
    }
    assert.equal(await ask(reader, `repository:${roots.team}:pull`), 200)
    assert.equal(await ask(reader, 'repository:team/app:pull'), 401)
    assert.equal(await ask({}, `repository:${roots.team}:pull`), 401)
  })
})
