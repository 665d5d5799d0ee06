import assert from 'node:assert/strict'
import { appendFile, chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import lock from '../../../package-lock.json' with { type: 'json' }
import packageJson from '../../../package.json' with { type: 'json' }
import { htpasswd, initAccess } from '../../fixtures/access.ts'
import { makeImage, sha256, writeLayout } from '../../fixtures/images.ts'
import { ipdr } from '../../fixtures/ipdr.ts'
import { run, tryRun, type RunOptions, type RunResult } from '../../fixtures/run.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { builtTool, projectDirectory } from '../../fixtures/tools.ts'

const minute = 60_000

interface Sbom {
  bomFormat: string
  serialNumber: string
  metadata: { component: { name: string; version: string; 'bom-ref': string } }
  components: { 'bom-ref': string; name: string; version: string; purl: string }[]
  dependencies: { ref: string; dependsOn: string[] }[]
}

suite('what proves where a release comes from', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let directory: string

  before(async () => {
    directory = resources.use(await temporaryDirectory('supply-chain')).path
    await run('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', path('release.key')])
    await run('openssl', ['ec', '-in', path('release.key'), '-pubout', '-out', path('release.pub')])
  })
  after(async () => {
    await resources.disposeAsync()
  })

  const path = (name: string): string => join(directory, name)
  const script = async (name: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> =>
    await tryRun(process.execPath, [join(projectDirectory, 'scripts', name), ...args], options)
  async function works(result: Promise<RunResult>): Promise<string> {
    const { code, stderr, stdout } = await result
    assert.equal(code, 0, stdout + stderr)
    return stdout
  }

  /** As docs/install.md says */
  async function verify(file: string, signature: string): Promise<boolean> {
    await writeFile(path('signature'), Buffer.from(signature, 'base64'))
    const args = ['dgst', '-sha256', '-verify', path('release.pub'), '-signature', path('signature'), file]
    return (await tryRun('openssl', args)).code === 0
  }

  test('the SBOM names every package of the program, and is the same each time', async () => {
    for (const name of ['sbom.json', 'again.json']) {
      await works(script('sbom.ts', [path(name)]))
    }
    const text = await readFile(path('sbom.json'), 'utf8')
    assert.equal(await readFile(path('again.json'), 'utf8'), text)
    const { bomFormat, components, dependencies, metadata, serialNumber } = JSON.parse(text) as Sbom
    const { name, version } = metadata.component
    assert.deepEqual([bomFormat, name, version], ['CycloneDX', 'ipdr', packageJson.version])
    assert.match(serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const shipped = Object.entries(lock.packages as Record<string, { dev?: boolean; version: string }>)
      // esbuild makes the bundle, and is not in it
      .filter(([path, { dev }]) => path !== '' && dev !== true && !path.includes('esbuild'))
      .map(([path, { version }]) => `${path.split('node_modules/').at(-1)}@${version}`)
    const listed = components.map(({ name, version }) => `${name}@${version}`)
    assert.deepEqual(new Set(listed), new Set([...shipped, `node.js@${process.versions.node}`]))
    assert.ok(listed.includes(`helia@${packageJson.dependencies.helia}`))
    const refs = new Set([metadata.component, ...components].map(component => component['bom-ref']))
    for (const { dependsOn, ref } of dependencies) {
      assert.ok(refs.has(ref) && dependsOn.every(other => refs.has(other)), ref)
    }
  })

  test('a signature is verified by openssl, and is no other file or key', async () => {
    await writeFile(path('SHA256SUMS'), 'sums')
    await works(script('sign-file.ts', [path('release.key'), path('SHA256SUMS')]))
    const signature = await readFile(path('SHA256SUMS.sig'), 'utf8')
    assert.ok(await verify(path('SHA256SUMS'), signature))
    await writeFile(path('other'), 'Sums')
    assert.equal(await verify(path('other'), signature), false)

    const encrypted = [
      'ec',
      '-aes256',
      '-passout',
      'pass:word',
      '-in',
      path('release.key'),
      '-out',
      path('encrypted.key'),
    ]
    await run('openssl', encrypted)
    const env = { RELEASE_KEY_PASSPHRASE: 'word' }
    await works(script('sign-file.ts', [path('encrypted.key'), path('SHA256SUMS')], { env }))
    assert.ok(await verify(path('SHA256SUMS'), await readFile(path('SHA256SUMS.sig'), 'utf8')))
  })

  test('a key that can not be used is refused, and never shown', async () => {
    await run('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', path('other.key')])
    await writeFile(path('broken.key'), 'a secret')
    for (const [name, message] of [
      ['other.key', /must be of the curve P-256/],
      ['broken.key', /holds no private key in PEM/],
      ['none.key', /ENOENT/],
    ] as const) {
      const { code, stderr } = await script('sign-file.ts', ['--check', path(name)])
      assert.equal(code, 1)
      assert.match(stderr, message)
      assert.doesNotMatch(stderr, /a secret|BEGIN/)
    }
    await works(script('sign-file.ts', ['--check', path('release.key')]))
  })

  test('a published image has its SBOM and its signature attached', async () => {
    const dataDir = path('data')
    await initAccess('private', dataDir)
    await appendFile(join(dataDir, 'htpasswd'), htpasswd({ releaser: 'of the releaser' }))
    await using server = await ServerProcess.start({ dataDir })
    const env = { DOCKER_CONFIG: path('docker') }
    const logIn = ['login', server.host, '-u', 'releaser', '--password-stdin']
    await ipdr(logIn, { env, input: 'of the releaser' })
    const image = makeImage([{ file: Buffer.from('release') }], { os: 'linux', architecture: 'amd64' })
    await writeLayout(path('layout'), image)
    await writeFile(path('image.cdx.json'), '{"bomFormat":"CycloneDX"}')

    const name = `${server.host}/ipdr-server:1.0.0`
    const args = ['--sbom', path('image.cdx.json'), '--key', path('release.key'), path('layout'), name]
    const published = (await works(script('publish-image.ts', args, { env }))).trim()
    const digest = published.split('@')[1]!
    assert.equal(published, `${server.host}/ipdr-server@${digest}`)
    assert.ok(image.content.has(digest as `sha256:${string}`))

    const oras = async (...args: string[]): Promise<string> => await run(builtTool('oras'), args, { env })
    const found = JSON.parse(await oras('discover', '--plain-http', '--format', 'json', published)) as {
      manifests?: { digest: string; artifactType: string }[]
      referrers?: { digest: string; artifactType: string }[]
    }
    const referrers = new Map((found.referrers ?? found.manifests ?? []).map(each => [each.artifactType, each.digest]))
    const types = ['application/vnd.cyclonedx+json', 'application/vnd.dev.cosign.artifact.sig.v1+json']
    assert.deepEqual([...referrers.keys()].sort(), types)

    const at = (reference: string): string => `${server.host}/ipdr-server@${reference}`
    await oras('pull', '--plain-http', '--output', path('pulled'), at(referrers.get(types[0]!)!))
    assert.equal(await readFile(path('pulled/image.cdx.json'), 'utf8'), '{"bomFormat":"CycloneDX"}')

    const tag = `${server.host}/ipdr-server:${digest.replace(':', '-')}.sig`
    const manifest = await oras('manifest', 'fetch', '--plain-http', tag)
    assert.equal(sha256(Buffer.from(manifest)), referrers.get(types[1]!))
    const { layers } = JSON.parse(manifest) as { layers: { digest: string; annotations: Record<string, string> }[] }
    await oras('blob', 'fetch', '--plain-http', '--output', path('payload'), at(layers[0]!.digest))
    const payload = JSON.parse(await readFile(path('payload'), 'utf8')) as {
      critical: { image: Record<string, string> }
    }
    assert.equal(payload.critical.image['docker-manifest-digest'], digest)
    assert.ok(await verify(path('payload'), layers[0]!.annotations['dev.cosignproject.cosign/signature']!))
  })

  test('nothing is published with a key that can not be used', async () => {
    await using server = await ServerProcess.start()
    await writeFile(path('broken.key'), 'a secret')
    const name = `${server.host}/ipdr-server:1.0.0`
    const { code } = await script('publish-image.ts', ['--key', path('broken.key'), path('layout'), name])
    assert.equal(code, 1)
    assert.equal(await (await fetch(`${server.url}/v2/_catalog`)).text(), '{"repositories":[]}')
  })

  test('the image is built on the base that is given by its digest', async () => {
    await mkdir(path('bin'), { recursive: true })
    await writeFile(path('bin/docker'), '#!/bin/sh\nprintf "%s\\n" "$@"\n')
    await chmod(path('bin/docker'), 0o755)
    const base = `node:24-bookworm-slim@${sha256(Buffer.from('base'))}`
    const env = { PATH: `${path('bin')}${delimiter}${process.env['PATH']}`, BASE_IMAGE: base }
    const words = (await run(join(projectDirectory, 'scripts/image-build'), [], { env })).split('\n')
    assert.ok(words.includes(`BASE=${base}`) && words.includes(`BASE_DIGEST=${base.split('@')[1]}`))
    const usual = await run(join(projectDirectory, 'scripts/image-build'), [], { env: { ...env, BASE_IMAGE: '' } })
    assert.doesNotMatch(usual, /BASE/)
  })
})
