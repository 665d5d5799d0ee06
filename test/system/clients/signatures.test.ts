/** Signatures that real clients make, in a registry where images must be signed */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { issue, issueAuthority, type Issued } from '../../fixtures/code-signing.ts'
import { makeImage, writeLayout } from '../../fixtures/images.ts'
import { run, tryRun } from '../../fixtures/run.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { builtTool } from '../../fixtures/tools.ts'

const minute = 60_000
const signer = 'signer.example'

interface ShownReferrer {
  artifactType?: string
  tag?: string
  signature?: { verified: boolean; key?: string; reason?: string }
}

suite('signatures', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let directory: string
  let server: ServerProcess
  let count = 0

  before(async () => {
    directory = resources.use(await temporaryDirectory('signatures')).path
    for (const name of ['release', 'stranger']) {
      await use('cosign-v2', 'generate-key-pair', path(name))
    }
    await use('notation', 'cert', 'generate-test', '--default', signer)
    const root = issueAuthority({ name: 'root', kind: 'rsa2048' })
    const chained = issue({ name: 'chained', issuer: issueAuthority({ name: 'middle', issuer: root, kind: 'p384' }) })
    await writeFile(path('corp.crt'), root.pem)
    await addNotationKey('chained', chained)
    await addNotationKey('stranger', issue({ name: 'stranger' }))
    const rule = { keys: [path('release.pub')] }
    const onlySigned = [
      { ...rule, repositories: ['prod/**'] },
      { ...rule, repositories: ['tagged/**'], refuse: ['tags'] },
      { ...rule, repositories: ['trial/**', 'charts/**'], refuse: [] },
      {
        repositories: ['corp/**'],
        authorities: [path('corp.crt'), path(`notation/localkeys/${signer}.crt`)],
        identities: [`CN=${signer}`, 'CN=chained, O=Example'],
      },
    ]
    await writeFile(path('ipdr.yml'), JSON.stringify({ onlySigned }))
    server = resources.use(await ServerProcess.start({ args: ['--config', path('ipdr.yml')] }))
  })
  after(async () => {
    await resources.disposeAsync()
  })

  const path = (name: string): string => join(directory, name)
  const use = async (tool: string, ...args: string[]): Promise<string> =>
    await run(builtTool(tool), args, { env: { NOTATION_CONFIG: path('notation'), HOME: directory } })
  async function addNotationKey(name: string, { chain, key }: Issued): Promise<void> {
    const pems = chain.map(der => `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`)
    const [certPath, keyPath] = [path(`${name}.chain.crt`), path(`${name}.notation.key`)]
    await writeFile(certPath, pems.join(''))
    await writeFile(keyPath, key.export({ type: 'pkcs8', format: 'pem' }))
    const file = path('notation/signingkeys.json')
    const known = JSON.parse(await readFile(file, 'utf8')) as { keys: unknown[] }
    known.keys.push({ name, certPath, keyPath })
    await writeFile(file, JSON.stringify(known))
  }
  const works = async (tool: string, ...args: string[]): Promise<boolean> =>
    (await tryRun(builtTool(tool), args)).code === 0

  /** A new image, pushed by crane; its name by digest */
  async function push(name: string, by: 'tag' | 'digest' = 'tag'): Promise<string> {
    const image = makeImage([{ file: Buffer.from(`image ${count++}`) }], { os: 'linux', architecture: 'amd64' })
    const layout = path(`layout-${count}`)
    await writeLayout(layout, image)
    const target =
      by === 'tag' ? `${server.host}/${name}` : `${server.host}/${name.split(':')[0]}@${image.descriptor.digest}`
    await use('crane', 'push', '--insecure', layout, target)
    return `${server.host}/${name.split(':')[0]}@${image.descriptor.digest}`
  }

  async function shown(image: string): Promise<ShownReferrer[]> {
    const [repository, digest] = image.slice(server.host.length + 1).split('@')
    const answer = await fetch(`${server.url}/ui/api/image?repository=${repository}&reference=${digest}`)
    return ((await answer.json()) as { referrers: { items: ShownReferrer[] } }).referrers.items
  }
  const verified = { verified: true, key: 'release' }
  const pull = async (image: string) =>
    await tryRun(builtTool('crane'), ['pull', '--insecure', image, path('pulled.tar')])

  for (const cosign of ['cosign-v2', 'cosign-v3']) {
    test(`an image is pulled once ${cosign} has signed it`, async () => {
      const image = await push(`prod/${cosign}:v1`)
      const tagged = `${server.host}/prod/${cosign}:v1`
      for (const name of [image, tagged]) {
        const { code, stderr } = await pull(name)
        assert.equal(code, 1)
        assert.match(
          stderr,
          /only signed images are pulled from prod\/cosign-v., and this one has no signature: have it/,
        )
      }
      await use(cosign, 'sign', path('stranger.key'), image)
      assert.match((await pull(tagged)).stderr, /does not count: it is by none of the keys/)
      await use(cosign, 'sign', path('release.key'), image)
      assert.equal((await pull(tagged)).code, 0)
      assert.equal((await pull(image)).code, 0)
      await use(cosign, 'verify', path('release.pub'), tagged)
      const notes = (await shown(image)).map(({ signature }) => signature)
      assert.ok(
        notes.some(note => note?.key === 'release'),
        JSON.stringify(notes),
      )
      if (cosign === 'cosign-v3') {
        assert.deepEqual(notes.map(note => note?.verified).toSorted(), [false, true])
      }
    })
  }

  test('an attestation of cosign is shown as verified, and is no signature', async () => {
    const image = await push('prod/attested:v1')
    await use('cosign-v3', 'attest', path('release.key'), image)
    assert.deepEqual(
      (await shown(image)).map(({ signature }) => signature),
      [verified],
    )
    assert.match((await pull(image)).stderr, /it is an attestation, not a signature/)
  })

  test('a tag is set once the image is signed', async () => {
    const image = await push('tagged/app', 'digest')
    assert.equal(await works('crane', 'tag', '--insecure', image, 'v1'), false)
    await use('cosign-v3', 'sign', path('release.key'), image)
    await use('crane', 'tag', '--insecure', image, 'v1')
    assert.equal((await pull(`${server.host}/tagged/app:v1`)).code, 0)
    await assert.rejects(push('tagged/app:v2'), /only signed images get a tag in tagged\/app/)
  })

  test('what oras attaches and Notation signs is shown, and counts as no signature', async () => {
    const image = await push('prod/notation:v1')
    await writeFile(path('sbom.json'), '{"bomFormat":"CycloneDX"}')
    await run(
      builtTool('oras'),
      [
        'attach',
        '--plain-http',
        '--artifact-type',
        'application/vnd.cyclonedx+json',
        image,
        'sbom.json:application/json',
      ],
      { cwd: directory },
    )
    await use('notation', 'sign', '--insecure-registry', image)
    const policy = {
      name: 'all',
      registryScopes: ['*'],
      signatureVerification: { level: 'strict' },
      trustStores: [`ca:${signer}`],
      trustedIdentities: ['*'],
    }
    await mkdir(path('notation'), { recursive: true })
    await writeFile(path('notation/trustpolicy.json'), JSON.stringify({ version: '1.0', trustPolicies: [policy] }))
    const referrers = await shown(image)
    assert.deepEqual(
      new Map(referrers.map(({ artifactType, signature }) => [artifactType, signature])),
      new Map<string, unknown>([
        ['application/vnd.cyclonedx+json', undefined],
        [
          'application/vnd.cncf.notary.signature',
          {
            verified: false,
            reason: 'it is a signature of Notation, and no authority is configured whose certificates count',
          },
        ],
      ]),
    )
    assert.equal((await pull(image)).code, 1)
    await use('cosign-v2', 'sign', path('release.key'), image)
    await use('notation', 'verify', '--insecure-registry', image)
    assert.equal((await pull(image)).code, 0)
  })

  for (const format of ['jws', 'cose']) {
    for (const key of [signer, 'chained']) {
      test(`an image is pulled once Notation has signed it, ${format}, by ${key}`, async () => {
        const image = await push(`corp/${key}:${format}`)
        const signBy = async (name: string): Promise<unknown> =>
          await use('notation', 'sign', '--insecure-registry', '--signature-format', format, '--key', name, image)
        assert.match((await pull(image)).stderr, /this one has no signature: have it signed by corp or signer.example/)
        await signBy('stranger')
        assert.match((await pull(image)).stderr, /its certificate is of none of the authorities/)
        await signBy(key)
        assert.equal((await pull(image)).code, 0)
        const notes = (await shown(image)).map(({ signature }) => signature)
        assert.deepEqual(notes.map(note => note?.verified).toSorted(), [false, true])
        const by = key === signer ? `signer.example (CN=${signer}, O=Notary` : 'corp (CN=chained, O=Example)'
        assert.ok(
          notes.some(note => note?.key?.startsWith(by)),
          JSON.stringify(notes),
        )
      })
    }
  }

  test('Helm pushes and pulls a chart, whose signature is shown', async () => {
    await mkdir(path('chart'))
    await writeFile(path('chart/Chart.yaml'), 'apiVersion: v2\nname: chart\nversion: 1.2.3\n')
    await run('tar', ['-C', directory, '-czf', path('chart-1.2.3.tgz'), 'chart'])
    await use('helm', 'push', path('chart-1.2.3.tgz'), `oci://${server.host}/charts`)
    await use('helm', 'pull', `oci://${server.host}/charts/chart:1.2.3`, path('pulled.tgz'))
    assert.deepEqual(await readFile(path('pulled.tgz')), await readFile(path('chart-1.2.3.tgz')))
    const digest = await use('crane', 'digest', '--insecure', `${server.host}/charts/chart:1.2.3`)
    await use('cosign-v3', 'sign', path('release.key'), `${server.host}/charts/chart@${digest}`)
    assert.deepEqual(
      (await shown(`${server.host}/charts/chart@${digest}`)).map(({ signature }) => signature),
      [verified],
    )
  })
})
