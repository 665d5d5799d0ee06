/**
 * Stores that would take hours to fill by pushes: written in the layout of each registry by a shorter way, and kept for
 * the next run.
 *
 * - ours: one small image is pushed, then its records are copied in the index, under as many tags and repositories as
 *   wanted
 * - distribution: the folders and link files that it reads for its lists, of one small image that was pushed
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LevelIndex } from '../src/index/level-index.ts'
import type { Digest } from '../src/oci/digest.ts'
import type { Bench } from './bench.ts'
import { fillBlocks, fillDistribution } from './native.ts'
import { settle } from './process-usage.ts'
import { pushSmallImage } from './small-image.ts'
import type { Launcher, StartInit } from './targets/target.ts'

export const tagsRepository = 'bench/tags'
const batch = 5000
/** Of what this file writes */
const version = 1
/** Beside the blocks, an index as it would be with them: one blob for so many blocks, one tag for so many */
const blocksPerBlob = 10
const blocksPerTag = 100

/** The tag or the repository with this number, in the order of the lists */
export const tagName = (number: number): string => `v${String(number).padStart(6, '0')}`
export const repositoryName = (number: number): string => `bench/r${String(number).padStart(6, '0')}`

/** A data directory with `count` tags of {@link tagsRepository} and `count` repositories more */
export async function prepareListings(bench: Bench, launcher: Launcher, count: number): Promise<string> {
  return await prepare(bench, launcher, `listings-${count}`, async dataDir => {
    const digest = await withServer(
      launcher,
      dataDir,
      async base => (await pushSmallImage(base, tagsRepository, tagName(0))).manifest,
    )
    if (launcher.name === 'distribution') {
      await fillDistribution(dataDir, count, digest)
      return
    }
    await fillIndex(dataDir, digest as Digest, { tags: count, repositories: count, blobs: 0 })
    // the files of its CID store are made before anybody measures
    await withServer(
      launcher,
      dataDir,
      async (_, pid) => {
        await settle(pid)
      },
      { publish: false },
    )
  })
}

/** A data directory of ours with `count` blocks, and blobs and tags in the index as there would be with these */
export async function prepareBlocks(bench: Bench, launcher: Launcher, count: number): Promise<string> {
  return await prepare(bench, launcher, `blocks-${count}`, async dataDir => {
    const digest = await withServer(
      launcher,
      dataDir,
      async base => (await pushSmallImage(base, tagsRepository, tagName(0))).manifest,
    )
    await fillBlocks(join(dataDir, 'blocks'), count)
    await fillIndex(dataDir, digest as Digest, {
      tags: Math.ceil(count / blocksPerTag),
      repositories: 0,
      blobs: Math.ceil(count / blocksPerBlob),
    })
    await withServer(launcher, dataDir, async (_, pid) => {
      await settle(pid)
    })
  })
}

async function prepare(
  bench: Bench,
  launcher: Launcher,
  name: string,
  fill: (dataDir: string) => Promise<void>,
): Promise<string> {
  const prefix = `${launcher.name}-${name}-`
  const current = `${prefix}${await layoutVersion(launcher)}`
  const cache = await bench.cache()
  const dataDir = join(cache, current)
  // outside of the data directory, whose content is its server's own
  const complete = `${dataDir}.complete`
  if (!existsSync(complete)) {
    console.log(`preparing ${dataDir}`)
    for (const old of (await readdir(cache)).filter(entry => entry.startsWith(prefix))) {
      await rm(join(cache, old), { recursive: true, force: true })
    }
    await fill(dataDir)
    await writeFile(complete, '')
  }
  return dataDir
}

async function fillIndex(
  dataDir: string,
  digest: Digest,
  { tags, repositories, blobs }: Record<'tags' | 'repositories' | 'blobs', number>,
): Promise<void> {
  const index = new LevelIndex(join(dataDir, 'index'))
  await index.open()
  try {
    const record = await index.manifest(tagsRepository, digest)
    const blob = await index.blob(record?.blobs[0] ?? digest)
    if (record === undefined || blob === undefined) {
      throw new Error(`${dataDir} does not have the image that was pushed to it`)
    }
    const updated = new Date().toISOString()
    for (let from = 0; from < Math.max(tags, repositories, blobs); from += batch) {
      const change = index.change()
      for (let number = from; number < from + batch; number++) {
        if (number < tags) {
          change.putTag(tagsRepository, tagName(number), { digest, updated })
        }
        if (number < repositories) {
          const name = repositoryName(number)
          change.putRepository(name).putManifest(name, digest, record).putTag(name, 'latest', { digest, updated })
        }
        if (number < blobs) {
          const other: Digest = `sha256:${createHash('sha256').update(`blob ${number}`).digest('hex')}`
          change.putBlob(other, blob).putLink(tagsRepository, other)
        }
      }
      await change.commit({ durable: from + batch >= Math.max(tags, repositories, blobs) })
    }
  } finally {
    await index.close()
  }
}

async function withServer<T>(
  launcher: Launcher,
  dataDir: string,
  work: (base: string, pid: number) => Promise<T>,
  init?: StartInit,
): Promise<T> {
  const server = await launcher.start(dataDir, init)
  try {
    return await work(server.base, server.pid)
  } finally {
    await server.stop()
  }
}

/** Another one whenever what the index holds has changed */
async function layoutVersion({ name }: Launcher): Promise<string> {
  if (name === 'distribution') {
    return String(version)
  }
  const hash = createHash('sha256')
  for (const file of ['index.ts', 'keys.ts']) {
    hash.update(await readFile(join(import.meta.dirname, '../src/index', file)))
  }
  return `${version}-${hash.digest('hex').slice(0, 8)}`
}
