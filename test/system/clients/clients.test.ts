import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import {
  makeImage,
  makeMultiPlatformImage,
  randomBytes,
  sha256,
  writeLayout,
  type Image,
} from '../../fixtures/images.ts'
import { RegistryClient } from '../../fixtures/registry-client.ts'
import { run, runBinary, tryRun, type RunOptions } from '../../fixtures/run.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { builtTool } from '../../fixtures/tools.ts'

const minute = 60_000
const mebibyte = 1024 * 1024

suite('other clients', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let server: ServerProcess
  let client: RegistryClient
  let directory: string
  let image: Image

  before(async () => {
    server = resources.use(await ServerProcess.start())
    client = new RegistryClient(server)
    directory = resources.use(await temporaryDirectory('clients')).path
    const common = { hello: randomBytes(2 * mebibyte, 'common') }
    image = makeMultiPlatformImage(
      new Map(
        ['amd64', 'arm64'].map(architecture => [
          architecture,
          makeImage([common, { arch: randomBytes(1000, architecture) }], { architecture, os: 'linux' }),
        ]),
      ),
    )
    await writeLayout(path('layout'), image)
    await mkdir(path('home'))
  })

  after(async () => {
    await resources.disposeAsync()
  })

  function path(name: string): string {
    return join(directory, name)
  }

  /** Runs a client whose settings and log-ins are not those of whoever runs the tests */
  async function use(tool: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
    return await run(builtTool(tool), args, withHome(options))
  }

  function withHome(options: RunOptions = {}): RunOptions {
    return { cwd: directory, ...options, env: { HOME: path('home'), DOCKER_CONFIG: path('home'), ...options.env } }
  }

  async function manifestDigest(name: string, reference: string): Promise<Digest | undefined> {
    return await client.digestOf(`/v2/${name}/manifests/${reference}`)
  }

  suite('crane', () => {
    const crane = async (...args: string[]): Promise<string> => await use('crane', args)
    const at = (name: string): string => `${server.host}/${name}`

    before(async () => {
      await crane('push', path('layout'), at('crane/index:latest'))
    })

    test('pushes an index, and reads its digest and bytes', async () => {
      assert.equal(await crane('digest', at('crane/index:latest')), image.descriptor.digest)
      assert.equal(
        await crane('manifest', at('crane/index:latest')),
        image.content.get(image.descriptor.digest)!.toString().trimEnd(),
      )
    })

    test('finds every image well-formed', async () => {
      // one by one: crane takes an attestation for an image without layers
      for (const platform of ['linux/amd64', 'linux/arm64']) {
        assert.match(await crane('validate', '--platform', platform, '--remote', at('crane/index:latest')), /^PASS/)
      }
    })

    test('pulls a layout and a tarball', async () => {
      await crane('pull', '--format', 'oci', at('crane/index:latest'), path('crane-layout'))
      const { manifests } = JSON.parse(await readFile(path('crane-layout/index.json'), 'utf8')) as {
        manifests: { digest: string }[]
      }
      assert.equal(manifests[0]!.digest, image.descriptor.digest)
      for (const [digest, bytes] of image.content) {
        assert.ok(bytes.equals(await readFile(path(`crane-layout/blobs/${digest.replace(':', '/')}`))), digest)
      }

      await crane('pull', '--platform', 'linux/amd64', at('crane/index:latest'), path('crane.tar'))
      assert.match(await crane('validate', '--tarball', path('crane.tar')), /^PASS/)
    })

    test('copies, tags and lists', async () => {
      await crane('copy', at('crane/index:latest'), at('crane/copied:one'))
      await crane('tag', at('crane/copied:one'), 'two')
      assert.equal(await crane('digest', at('crane/copied:two')), image.descriptor.digest)
      assert.equal(await crane('ls', at('crane/copied')), 'one\ntwo')
      const catalog = (await crane('catalog', server.host)).split('\n')
      assert.ok(catalog.includes('crane/copied') && catalog.includes('crane/index'), catalog.join())
    })

    test('deletes a tag, and a manifest', async () => {
      await crane('copy', at('crane/index:latest'), at('crane/deleted:one'))
      await crane('tag', at('crane/deleted:one'), 'two')
      await crane('delete', at('crane/deleted:one'))
      assert.equal(await manifestDigest('crane/deleted', 'one'), undefined)
      assert.equal(await manifestDigest('crane/deleted', 'two'), image.descriptor.digest)

      await crane('delete', `${at('crane/deleted')}@${image.descriptor.digest}`)
      assert.equal(await manifestDigest('crane/deleted', image.descriptor.digest), undefined)
      assert.equal(await manifestDigest('crane/deleted', 'two'), undefined)
      assert.equal(await manifestDigest('crane/index', 'latest'), image.descriptor.digest)
    })

    test('appends a layer to an image that is there', async () => {
      await writeFile(
        path('layer.tar.gz'),
        [...image.content.values()].find(bytes => bytes.readUInt16BE(0) === 0x1f8b)!,
      )
      await crane(
        'append',
        '--platform',
        'linux/amd64',
        '--base',
        at('crane/index:latest'),
        '--new_layer',
        path('layer.tar.gz'),
        '--new_tag',
        at('crane/appended:latest'),
      )
      assert.match(await crane('validate', '--remote', at('crane/appended:latest')), /^PASS/)
    })
  })

  suite('oras', () => {
    const oras = async (command: string, ...args: string[]): Promise<string> =>
      await use('oras', [...command.split(' '), '--plain-http', ...args])
    const at = (name: string): string => `localhost:${server.port}/${name}`

    interface Referrers {
      referrers?: ({ digest: Digest; artifactType: string } & Referrers)[]
    }

    async function referrers(name: string): Promise<Referrers['referrers']> {
      return (JSON.parse(await oras('discover', '--format', 'json', at(name))) as Referrers).referrers
    }

    before(async () => {
      await writeFile(path('artifact.bin'), randomBytes(5 * mebibyte + 3, 'artifact'))
      await writeFile(path('note.txt'), 'a note\n')
      await writeFile(path('signature.txt'), 'a signature of the note\n')
      await oras(
        'push',
        '--artifact-type',
        'application/vnd.example',
        at('oras/artifact:v1'),
        'artifact.bin:application/octet-stream',
        'note.txt:text/plain',
      )
    })

    test('pushes and pulls an artifact', async () => {
      await oras('pull', '--output', path('pulled'), at('oras/artifact:v1'))
      for (const file of ['artifact.bin', 'note.txt']) {
        assert.ok((await readFile(path(file))).equals(await readFile(path(`pulled/${file}`))), file)
      }
    })

    test('attaches, discovers and copies referrers of referrers', async () => {
      await oras('tag', at('oras/artifact:v1'), 'signed')
      await oras(
        'attach',
        '--artifact-type',
        'application/vnd.example.note',
        at('oras/artifact:signed'),
        'note.txt:text/plain',
      )
      const [note] = (await referrers('oras/artifact:signed')) ?? []
      assert.equal(note?.artifactType, 'application/vnd.example.note')
      await oras(
        'attach',
        '--artifact-type',
        'application/vnd.example.signature',
        at(`oras/artifact@${note.digest}`),
        'signature.txt:text/plain',
      )

      const tree = await referrers('oras/artifact:signed')
      assert.deepEqual(
        tree?.map(({ artifactType, referrers }) => [artifactType, referrers?.map(inner => inner.artifactType)]),
        [['application/vnd.example.note', ['application/vnd.example.signature']]],
      )
      const filtered = JSON.parse(
        await oras(
          'discover',
          '--format',
          'json',
          '--artifact-type',
          'application/vnd.example.other',
          at('oras/artifact:signed'),
        ),
      ) as Referrers
      assert.deepEqual(filtered.referrers ?? [], [])

      await use('oras', [
        'cp',
        '--recursive',
        '--from-plain-http',
        '--to-plain-http',
        at('oras/artifact:signed'),
        at('oras/copied:signed'),
      ])
      const copied = await referrers('oras/copied:signed')
      assert.deepEqual(
        copied?.map(({ digest, referrers }) => [digest, referrers?.map(inner => inner.digest)]),
        tree?.map(({ digest, referrers }) => [digest, referrers?.map(inner => inner.digest)]),
      )
    })

    test('pushes and fetches a blob of more than a block', async () => {
      const digest = sha256(await readFile(path('artifact.bin')))
      await oras('blob push', at(`oras/blobs@${digest}`), path('artifact.bin'))
      await oras('blob fetch', '--output', path('blob.bin'), at(`oras/blobs@${digest}`))
      assert.equal(sha256(await readFile(path('blob.bin'))), digest)
      const descriptor = JSON.parse(await oras('blob fetch', '--descriptor', at(`oras/blobs@${digest}`))) as {
        size: number
      }
      assert.equal(descriptor.size, 5 * mebibyte + 3)

      await oras('blob delete', '--force', at(`oras/blobs@${digest}`))
      assert.equal(await client.digestOf(`/v2/oras/blobs/blobs/${digest}`), undefined)
    })

    test('deletes a manifest, and lists what is left', async () => {
      await oras('push', at('oras/deleted:one'), 'note.txt:text/plain')
      await oras('push', at('oras/deleted:two'), 'signature.txt:text/plain')
      const digest = await oras('resolve', at('oras/deleted:one'))
      await oras('manifest delete', '--force', at(`oras/deleted@${digest}`))
      assert.equal(await oras('repo tags', at('oras/deleted')), 'two')
      assert.match(await oras('repo ls', `localhost:${server.port}`), /^oras\/deleted$/m)
      assert.equal(
        (
          await tryRun(
            builtTool('oras'),
            ['manifest', 'fetch', '--plain-http', at(`oras/deleted@${digest}`)],
            withHome(),
          )
        ).code,
        1,
      )
    })

    test('lists no tags where there are but blobs', async () => {
      await oras('push', at('oras/emptied:one'), 'note.txt:text/plain')
      await oras('manifest delete', '--force', at(`oras/emptied@${await oras('resolve', at('oras/emptied:one'))}`))
      assert.equal(await oras('repo tags', at('oras/emptied')), '')

      await oras('blob push', at('oras/only-blobs'), path('note.txt'))
      assert.equal(await oras('repo tags', at('oras/only-blobs')), '')
      assert.deepEqual(await (await client.request('GET', '/v2/oras/only-blobs/tags/list')).json(), {
        name: 'oras/only-blobs',
        tags: [],
      })
    })

    test('takes no referrer with the subject that is deleted', async () => {
      await oras('push', at('oras/subject:v1'), 'artifact.bin:application/octet-stream')
      const subject = await oras('resolve', at('oras/subject:v1'))
      await oras(
        'attach',
        '--artifact-type',
        'application/vnd.example.note',
        at('oras/subject:v1'),
        'note.txt:text/plain',
      )
      const [note] = (await referrers('oras/subject:v1')) ?? []
      await oras('manifest delete', '--force', at(`oras/subject@${note!.digest}`))
      assert.deepEqual((await referrers('oras/subject:v1')) ?? [], [])
      assert.equal(await manifestDigest('oras/subject', subject), subject)
    })
  })

  suite('regctl', () => {
    const at = (name: string): string => `${server.host}/${name}`

    async function regctl(command: string, args: string[], options: RunOptions = {}): Promise<string> {
      return await use('regctl', ['--host', `reg=${server.host},tls=disabled`, ...command.split(' '), ...args], options)
    }

    before(async () => {
      await regctl('image copy', [`ocidir://${path('layout')}:latest`, at('regctl/index:latest')])
    })

    test('copies an index with all that belongs to it', async () => {
      assert.equal(await regctl('manifest head', [at('regctl/index:latest')]), image.descriptor.digest)
      await regctl('image copy', [at('regctl/index:latest'), at('regctl/copied:latest')])
      await regctl('image copy', [at('regctl/copied:latest'), `ocidir://${path('regctl')}:latest`])
      for (const [digest, bytes] of image.content) {
        assert.ok(bytes.equals(await readFile(path(`regctl/blobs/${digest.replace(':', '/')}`))), digest)
      }
    })

    test('lists tags, and removes one of two that name the same manifest', async () => {
      await regctl('image copy', [at('regctl/index:latest'), at('regctl/tags:one')])
      await regctl('image copy', [at('regctl/index:latest'), at('regctl/tags:two')])
      assert.equal(await regctl('tag ls', [at('regctl/tags')]), 'one\ntwo')
      await regctl('tag rm', [at('regctl/tags:one')])
      assert.equal(await regctl('tag ls', [at('regctl/tags')]), 'two')
      assert.equal(await manifestDigest('regctl/tags', image.descriptor.digest), image.descriptor.digest)
    })

    test('pages through tags and repositories', async () => {
      await regctl('image copy', [at('regctl/index:latest'), at('regctl/pages:a')])
      await regctl('image copy', [at('regctl/index:latest'), at('regctl/pages:b')])
      await regctl('image copy', [at('regctl/index:latest'), at('regctl/pages:c')])
      assert.equal(await regctl('tag ls', ['--limit', '2', at('regctl/pages')]), 'a\nb')
      assert.equal(await regctl('tag ls', ['--limit', '2', '--last', 'b', at('regctl/pages')]), 'c')
      assert.match(await regctl('repo ls', [server.host]), /^regctl\/pages$/m)
    })

    test('lists referrers', async () => {
      await regctl('image copy', [at('regctl/index:latest'), at('regctl/subject:latest')])
      for (const type of ['first', 'second']) {
        await regctl(
          'artifact put',
          ['--artifact-type', `application/vnd.example.${type}`, '--subject', at('regctl/subject:latest')],
          { input: `${type}\n` },
        )
      }
      const list = async (...args: string[]): Promise<string[]> => {
        const response = JSON.parse(
          await regctl('artifact list', [...args, '--format', '{{json .}}', at('regctl/subject:latest')]),
        ) as { descriptors: { artifactType: string }[] }
        return response.descriptors.map(({ artifactType }) => artifactType).sort()
      }
      assert.deepEqual(await list(), ['application/vnd.example.first', 'application/vnd.example.second'])
      assert.deepEqual(await list('--filter-artifact-type', 'application/vnd.example.second'), [
        'application/vnd.example.second',
      ])
      // no fallback tag was needed
      assert.equal(await regctl('tag ls', [at('regctl/subject')]), 'latest')
    })

    test('puts, heads and gets a blob', async () => {
      const bytes = randomBytes(3 * mebibyte + 5, 'regctl blob')
      const digest = sha256(bytes)
      assert.equal(await regctl('blob put', [at('regctl/blobs')], { input: bytes }), digest)
      assert.match(
        await regctl('blob head', [at('regctl/blobs'), digest]),
        new RegExp(`Content-Length: ${bytes.length}\\b`, 'i'),
      )
      const args = ['--host', `reg=${server.host},tls=disabled`, 'blob', 'get', at('regctl/blobs'), digest]
      assert.ok(bytes.equals(await runBinary(builtTool('regctl'), args, withHome())))
    })
  })
})
