import assert from 'node:assert/strict'
import { open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Digest } from '../../src/oci/digest.ts'
import { ociConfig, ociManifest, randomBytes, sha256 } from '../fixtures/images.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { smallVolume } from '../fixtures/small-volume.ts'

const minute = 60_000
const mebibyte = 1024 * 1024
const repository = 'full/disk'

test('a full disk refuses pushes, loses nothing, and serves pulls', { timeout: 10 * minute }, async t => {
  await using volume = await smallVolume('96m')
  const ballast = join(volume.path, 'ballast')
  await writeFile(ballast, Buffer.alloc(32 * mebibyte))
  await using server = await ServerProcess.start({ dataDir: join(volume.path, 'data') })
  const client = new RegistryClient(server)
  const acknowledged = new Map<string, Digest>()

  /** @returns the status, and keeps what was acknowledged */
  const pushBlob = async (size: number, seed: string): Promise<number> => {
    const blob = randomBytes(size, seed)
    const response = await client.pushBlob(repository, blob)
    return await check(response, `/v2/${repository}/blobs/${sha256(blob)}`, sha256(blob))
  }
  const pushImage = async (tag: string): Promise<number> => {
    const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', tag }))
    const status = await check(
      await client.pushBlob(repository, config),
      `/v2/${repository}/blobs/${sha256(config)}`,
      sha256(config),
    )
    if (status !== 201) {
      return status
    }
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: ociManifest,
        config: { mediaType: ociConfig, digest: sha256(config), size: config.length },
        layers: [],
      }),
    )
    return await check(
      await client.pushManifest(repository, tag, manifest),
      `/v2/${repository}/manifests/${tag}`,
      sha256(manifest),
    )
  }
  const check = async (response: Response, path: string, digest: Digest): Promise<number> => {
    if (response.status === 201) {
      acknowledged.set(path, digest)
    } else {
      assert.equal(response.status, 507, await response.clone().text())
      const { errors } = (await response.json()) as { errors: { code: string; message: string }[] }
      assert.deepEqual(
        errors.map(({ code }) => code),
        ['STORAGE_FULL'],
      )
      assert.doesNotMatch(JSON.stringify(errors), /ENOSPC|\/data/)
    }
    return response.status
  }
  const verify = async (): Promise<void> => {
    assert.equal((await fetch(`${server.url}/livez`)).status, 200)
    for (const [path, digest] of acknowledged) {
      assert.equal(await client.digestOf(path), digest, path)
    }
  }

  await t.test('large blobs fill it', async () => {
    assert.equal(await pushImage('first'), 201)
    const statuses: number[] = []
    for (let i = 0; i < 16; i++) {
      statuses.push(await pushBlob(5 * mebibyte, `large ${i}`))
    }
    assert.ok(statuses.includes(201) && statuses.includes(507), statuses.join())
    await verify()
  })

  await t.test('small ones fill the rest', async () => {
    let status = 201
    for (let i = 0; status === 201 && i < 2000; i++) {
      status = await pushBlob(40_000, `small ${i}`)
    }
    assert.equal(status, 507)
    await verify()
  })

  await using filler = await fill(join(volume.path, 'filler'))

  await t.test('no byte is left', async () => {
    // often enough that the index needs room as well
    for (let i = 0; i < 100; i++) {
      assert.equal(await pushBlob(100_000 + i, 'no room'), 507)
      assert.equal(await pushImage(`no-room-${i}`), 507)
    }
    await verify()
  })

  await t.test('with room again, so are pushes, without a restart', async () => {
    await filler[Symbol.asyncDispose]()
    await rm(ballast)
    assert.equal(await pushBlob(5 * mebibyte, 'large again'), 201)
    assert.equal(await pushImage('again'), 201)
    await verify()
  })

  await t.test('everything acknowledged is there after a restart', async () => {
    await server.restart()
    await verify()
    assert.ok(acknowledged.size > 10, `${acknowledged.size}`)
  })
})

/** Takes all space that is left, as another program may */
async function fill(path: string): Promise<AsyncDisposable> {
  const file = await open(path, 'w')
  try {
    for (const piece of [mebibyte, 4096]) {
      const bytes = Buffer.alloc(piece)
      for (let written = piece; written === piece; ) {
        written = await file.write(bytes).then(
          ({ bytesWritten }) => bytesWritten,
          () => 0,
        )
      }
    }
  } finally {
    await file.close()
  }
  return {
    [Symbol.asyncDispose]: async () => {
      await rm(path, { force: true })
    },
  }
}
