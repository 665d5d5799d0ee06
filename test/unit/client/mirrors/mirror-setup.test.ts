import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { parse } from 'smol-toml'
import type { Engine } from '../../../../src/client/mirrors/engines.ts'
import { applyChanges, planMirror } from '../../../../src/client/mirrors/mirror-setup.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

const mirror = new URL('http://mirror:5000')
const hosts = '/etc/containerd/certs.d/docker.io/hosts.toml'
const daemon = '/etc/docker/daemon.json'
const conf = '/etc/containers/registries.conf.d'
const ours = `${conf}/999-ipdr-mirror.conf`

let root: TemporaryDirectory
beforeEach(async () => {
  root = await temporaryDirectory('mirror-setup')
})
afterEach(async () => {
  await root[Symbol.asyncDispose]()
})

async function run(engine: Engine, undo = false, upstreams = ['docker.io'], url = mirror): Promise<string[]> {
  const { files } = await planMirror(engine, root.path, { mirror: url, upstreams, undo })
  await applyChanges(files, root.path)
  return files.map(({ path }) => path.slice(root.path.length)).sort()
}

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root.path, path)), { recursive: true })
  await writeFile(join(root.path, path), text)
}

async function get(path: string): Promise<string> {
  return await readFile(join(root.path, path), 'utf8')
}

async function isThere(path: string): Promise<boolean> {
  return (await readdir(join(root.path, dirname(path))).catch((): string[] => [])).includes(path.split('/').at(-1)!)
}

describe('the set-up of a mirror', () => {
  for (const engine of ['containerd', 'docker', 'podman'] as const) {
    it(`for ${engine} changes nothing the second time, and undo leaves no file`, async () => {
      const upstreams = ['docker.io', 'registry.local:5300']
      const written = await run(engine, false, upstreams)
      assert.notDeepEqual(written, [])
      assert.deepEqual(await run(engine, false, upstreams), [])
      assert.deepEqual(await run(engine, true, upstreams), written)
      assert.deepEqual(await run(engine, true, upstreams), [])
      for (const path of written) {
        assert.equal(await isThere(path), false, path)
      }
    })
  }

  it('leaves links alone that lead out of the root', async () => {
    await using outside = await temporaryDirectory('outside')
    await mkdir(join(root.path, 'etc'))
    await symlink(outside.path, join(root.path, 'etc/docker'))
    await assert.rejects(run('docker'), { name: 'ClientError', message: /is not below/ })
    assert.deepEqual(await readdir(outside.path), [])
  })

  it('keeps the mode of a file, and what a link leads to', async () => {
    await put('/etc/docker/real.json', '{}')
    await chmod(join(root.path, '/etc/docker/real.json'), 0o640)
    await symlink('real.json', join(root.path, daemon))
    await run('docker')
    assert.deepEqual(JSON.parse(await get('/etc/docker/real.json')), { 'registry-mirrors': ['http://mirror:5000'] })
    assert.equal((await stat(join(root.path, daemon))).mode & 0o777, 0o640)
  })
})

describe('hosts.toml', () => {
  const theirs = `server = "https://other"
# a comment of theirs
[host."https://first"]
  capabilities = ["pull"]
[host."https://second"]
`

  it('has the mirror before the hosts that were there, which stay with their comments', async () => {
    await put(hosts, theirs)
    await run('containerd')
    const text = await get(hosts)
    assert.deepEqual(Object.keys(parse(text)['host'] as object), [
      'http://mirror:5000',
      'https://first',
      'https://second',
    ])
    assert.equal(parse(text)['server'], 'https://other')
    assert.match(text, /# a comment of theirs\n/)
    await run('containerd', true)
    assert.equal(await get(hosts), theirs)
  })

  it('has the URL of the last set-up alone', async () => {
    await put(hosts, theirs)
    await run('containerd')
    await run('containerd', false, ['docker.io'], new URL('https://new:5000'))
    assert.deepEqual(Object.keys(parse(await get(hosts))['host'] as object)[0], 'https://new:5000')
    assert.doesNotMatch(await get(hosts), /mirror:5000/)
  })

  for (const [what, text] of [
    ['is no TOML', 'server = '],
    ['names the mirror already', '[host."http://mirror:5000"]\n'],
    ['has a line that only looks like a table', 'text = """\n[host]\n"""\n'],
    ['has hosts in one line', 'host = { "https://first" = {} }\n'],
  ] as const) {
    it(`stays as it is where it ${what}`, async () => {
      await put(hosts, text)
      await assert.rejects(run('containerd'), { name: 'ClientError', message: /left as it is/ })
      assert.equal(await get(hosts), text)
    })
  }
})

describe('daemon.json', () => {
  it('keeps what it says, and other mirrors', async () => {
    const theirs = { debug: true, 'registry-mirrors': ['https://other/'] }
    await put(daemon, JSON.stringify(theirs))
    await run('docker')
    assert.deepEqual(JSON.parse(await get(daemon)), {
      debug: true,
      'registry-mirrors': ['http://mirror:5000', 'https://other/'],
    })
    await run('docker', true)
    assert.deepEqual(JSON.parse(await get(daemon)), theirs)
  })

  it('is not written for other registries than Docker Hub', async () => {
    assert.deepEqual(await run('docker', false, ['quay.io']), ['/etc/docker/certs.d/quay.io/hosts.toml'])
  })

  for (const text of ['{', '[]', '{"registry-mirrors": "x"}']) {
    it(`stays as it is where it is ${text}`, async () => {
      await put(daemon, text)
      await assert.rejects(run('docker'), { name: 'ClientError', message: /left as it is/ })
      assert.equal(await get(daemon), text)
    })
  }
})

describe('registries.conf', () => {
  it('names the upstream as a part of the repository, and allows plain HTTP only where the mirror has it', async () => {
    await run('podman', false, ['docker.io', 'registry.local:5300'])
    assert.deepEqual(JSON.parse(JSON.stringify(parse(await get(ours)))), {
      registry: [
        {
          prefix: 'docker.io',
          location: 'docker.io',
          mirror: [{ location: 'mirror:5000/docker.io', insecure: true }],
        },
        {
          prefix: 'registry.local:5300',
          location: 'registry.local:5300',
          mirror: [{ location: 'mirror:5000/registry.local_5300', insecure: true }],
        },
      ],
    })
    await run('podman', false, ['quay.io'], new URL('https://mirror'))
    assert.doesNotMatch(await get(ours), /insecure/)
  })

  it('takes over what another file says of the same registry, as only one counts', async () => {
    await put('/etc/containers/registries.conf', '[[registry]]\nlocation = "docker.io"\nblocked = true\n')
    const file = `${conf}/100-hub.conf`
    await put(
      file,
      '[[registry]]\nprefix = "docker.io"\nlocation = "hub.local"\n[[registry.mirror]]\nlocation = "other:5000"\n',
    )
    await run('podman')
    assert.deepEqual(JSON.parse(JSON.stringify(parse(await get(ours))['registry'])), [
      {
        prefix: 'docker.io',
        location: 'hub.local',
        mirror: [{ location: 'mirror:5000/docker.io', insecure: true }, { location: 'other:5000' }],
      },
    ])
  })

  it("does not replace somebody else's file of the same name", async () => {
    await put(ours, '# mine\n')
    for (const undo of [false, true]) {
      await assert.rejects(run('podman', undo), { name: 'ClientError', message: /left as it is/ })
    }
    assert.equal(await get(ours), '# mine\n')
  })
})
