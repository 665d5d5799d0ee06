import assert from 'node:assert/strict'
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { startBuildkit } from '../../fixtures/buildkit.ts'
import { ociIndex, ociManifest, randomBytes } from '../../fixtures/images.ts'
import { collectGarbage } from '../../fixtures/maintenance.ts'
import { RegistryClient } from '../../fixtures/registry-client.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { installedTool } from '../../fixtures/tools.ts'
import { until } from '../../fixtures/until.ts'

const minute = 60_000
const cacheConfig = 'application/vnd.buildkit.cacheconfig.v0'

interface CacheManifest {
  mediaType: string
  config?: { mediaType: string; digest: Digest }
  layers?: { mediaType: string; digest: Digest }[]
  manifests?: { mediaType: string; digest: Digest }[]
}

/** A build whose result no second run can give: a stage, which is in no image, makes random bytes that the image has */
async function writeContext(directory: string): Promise<void> {
  await mkdir(directory)
  await copyFile(installedTool('busybox'), join(directory, 'busybox'))
  await chmod(join(directory, 'busybox'), 0o755)
  await writeFile(
    join(directory, 'Dockerfile'),
    [
      'FROM scratch AS build',
      'COPY busybox /bin/busybox',
      'RUN ["/bin/busybox", "dd", "if=/dev/urandom", "of=/random", "bs=100k", "count=30"]',
      'RUN ["/bin/busybox", "cp", "/random", "/copy"]',
      'FROM scratch',
      'COPY --from=build /copy /random',
      '',
    ].join('\n'),
  )
}

suite('buildkit', { timeout: 10 * minute }, () => {
  const forms = [
    { form: 'a manifest', imageManifest: true, mediaType: ociManifest },
    { form: 'an index of blobs', imageManifest: false, mediaType: ociIndex },
  ]
  for (const { form, imageManifest, mediaType } of forms) {
    test(`a build cache that is ${form} survives garbage collection, and all steps of the next build come from it`, async () => {
      await using server = await ServerProcess.start({
        args: ['--gc-interval', 'off', '--gc-unreferenced', '0', '--gc-grace', '1s', '--names-publish', 'false'],
      })
      await using directory = await temporaryDirectory('buildkit')
      const client = new RegistryClient(server)
      const context = join(directory.path, 'context')
      await writeContext(context)
      const cache = `type=registry,ref=${server.host}/app/cache:main`

      async function build(...args: string[]): Promise<{ steps: string[]; cached: string[] }> {
        // each a new one, which has nothing but what the registry gives it
        await using buildkit = await startBuildkit()
        const steps = await buildkit.build(context, args)
        return {
          steps: steps.map(({ name }) => name),
          cached: steps.filter(({ cached }) => cached).map(({ name }) => name),
        }
      }

      const first = await build(
        '--output',
        `type=image,name=${server.host}/app/image:first,push=true`,
        '--export-cache',
        `${cache},mode=max,oci-mediatypes=true,image-manifest=${imageManifest}`,
      )
      assert.equal(first.steps.length, 4, first.steps.join())
      assert.deepEqual(first.cached, [])
      const image = await client.digestOf('/v2/app/image/manifests/first')

      const manifest = (await (
        await client.request('GET', '/v2/app/cache/manifests/main', { headers: { Accept: '*/*' } })
      ).json()) as CacheManifest
      const blobs = [
        ...(manifest.config === undefined ? [] : [manifest.config]),
        ...(manifest.layers ?? manifest.manifests ?? []),
      ]
      assert.equal(manifest.mediaType, mediaType)
      assert.ok(
        blobs.some(({ mediaType }) => mediaType === cacheConfig),
        JSON.stringify(manifest),
      )
      assert.ok(blobs.length >= 4, JSON.stringify(manifest))

      assert.equal((await client.pushBlob('app/image', randomBytes(100, 'unneeded'))).status, 201)
      let freed = 0
      await until(
        'what nothing needs is gone',
        async () => {
          const { blocks } = await collectGarbage(client)
          freed += blocks
          return freed > 0 && blocks === 0
        },
        minute,
      )
      const lost = []
      for (const { mediaType, digest } of blobs) {
        if ((await client.digestOf(`/v2/app/cache/blobs/${digest}`)) !== digest) {
          lost.push(mediaType)
        }
      }
      assert.deepEqual(lost, [])

      const second = await build(
        '--import-cache',
        cache,
        '--output',
        `type=image,name=${server.host}/app/image:second,push=true`,
      )
      assert.deepEqual(second.cached.sort(), first.steps.sort())
      assert.equal(await client.digestOf('/v2/app/image/manifests/second'), image)

      // the files come out of the cache, not only their digests
      await build('--import-cache', cache, '--output', `type=local,dest=${join(directory.path, 'files')}`)
      assert.equal((await readFile(join(directory.path, 'files/random'))).length, 30 * 100 * 1024)
    })
  }
})
