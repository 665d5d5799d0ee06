/**
 * What has to stand in the files of a container engine so that it pulls through a mirror: `planMirror`
 * says what changes, `applyChanges` writes it. Files that others have written keep what they say: ours is added to it,
 * or the change is refused. One file for each engine: containerd.ts, docker.ts, podman.ts. Imports only what
 * stands beside the rooms of remote/.
 */
import { readdir, readFile, realpath, rm } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { ClientError } from '../../remote/errors.ts'
import { replaceFile } from '../../remote/replace-file.ts'
import { containerdChanges } from './containerd.ts'
import { dockerChanges } from './docker.ts'
import type { Changes, Engine, EngineFiles, FileChange, MirrorInit } from './engines.ts'
import { podmanChanges } from './podman.ts'

type PlanChanges = (files: EngineFiles, init: MirrorInit) => Promise<Changes>

const plans: Record<Engine, PlanChanges> = {
  containerd: containerdChanges,
  docker: dockerChanges,
  podman: podmanChanges,
}

/**
 * @param root of the system whose files are meant
 * @returns only what changes
 * @throws ClientError where a file can't be read, or can't be changed without losing what it says
 */
export async function planMirror(engine: Engine, root: string, init: MirrorInit): Promise<Changes> {
  const { files, notes } = await plans[engine](
    {
      read: async path => await readIfThere(join(root, path)),
      list: async path => (await readdir(join(root, path)).catch(notThere(() => []))).sort(),
    },
    init,
  )
  return {
    files: files
      .filter(({ before, after }) => before !== after)
      .map(change => ({ ...change, path: join(root, change.path) })),
    notes,
  }
}

/**
 * Each file is replaced as a whole, and keeps its owner and mode
 *
 * @param root nothing outside it is written, wherever links lead
 */
export async function applyChanges(changes: readonly FileChange[], root: string): Promise<void> {
  for (const { path, after } of changes) {
    await requireBelow(root, path)
    try {
      await (after === undefined ? rm(path) : replaceFile(path, after))
    } catch (err) {
      throw new ClientError(`${path} can't be changed: ${(err as Error).message}`, { cause: err })
    }
  }
}

/** @throws ClientError where a link leads to the file, or to the directories above it, from outside the root */
async function requireBelow(root: string, path: string): Promise<void> {
  const [top, place] = await Promise.all([realpath(root), nearestOf(path)])
  const way = relative(top, place)
  if (way === '..' || way.startsWith(`..${sep}`)) {
    throw new ClientError(`${path} leads to ${place}, which is not below ${root}: nothing is written there`)
  }
}

/** Where the file is, or the nearest directory above it that is there */
async function nearestOf(path: string): Promise<string> {
  return (await realpath(path).catch(notThere(() => undefined))) ?? (await nearestOf(dirname(path)))
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8').catch(notThere(() => undefined))
  } catch (err) {
    throw new ClientError(`${path} can't be read: ${(err as Error).message}`, { cause: err })
  }
}

function notThere<T>(value: () => T): (err: NodeJS.ErrnoException) => T {
  return err => {
    if (err.code !== 'ENOENT') {
      throw err
    }
    return value()
  }
}
