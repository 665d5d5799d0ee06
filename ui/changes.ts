/** What pages change: tags, and what was changed before */
import { signal } from '@preact/signals'
import type { DeletionResult, Undone } from './answers.ts'
import { ask, request } from './api.ts'

/** What was done last, and how to undo it */
export interface Outcome {
  text: string
  /** Undefined where it can't be undone */
  undo: UndoInit | undefined
}

export interface UndoInit {
  repository: string
  /** Undefined: the whole repository */
  tags?: readonly string[] | undefined
  to: number
  /** The last state that the page knows of: what others have changed since is not undone */
  known?: number | undefined
}

export const outcome = signal<Outcome | undefined>(undefined)

/** Goes up with each change that a page makes, so that lists are asked for again */
export const changes = signal(0)

/** @throws ApiError */
export async function deleteTags(init: {
  repository: string
  tags: readonly string[]
  images: boolean
  dryRun: boolean
}): Promise<DeletionResult> {
  return (await post('delete', init)) as DeletionResult
}

/** @throws ApiError */
export async function undo(init: UndoInit): Promise<Undone> {
  const undone = (await post('undo', init)) as Undone
  changes.value++
  return undone
}

/**
 * Has a tag lead to an image that is here, as registry clients do it: by a push of its manifest
 *
 * @throws ApiError
 */
export async function setTag(
  { digest, mediaType, repository }: { repository: string; digest: string; mediaType: string },
  tag: string,
): Promise<void> {
  const path = `v2/${repository}/manifests/`
  // this header has it not counted as a pull
  const found = await request(`${path}${digest}`, { headers: { Accept: mediaType, 'Cache-Control': 'only-if-cached' } })
  const body = await found.arrayBuffer()
  await request(`${path}${tag}`, { method: 'PUT', headers: { 'Content-Type': mediaType }, body })
  changes.value++
}

/** What undoes the last change of a tag; undefined where nobody may, or it is not known any more */
export async function lastChangeOf(repository: string, tag: string): Promise<UndoInit | undefined> {
  const { changes: found } = await ask('history', { repository, tag, n: 1 }).catch(() => ({ changes: [] }))
  const state = found[0]?.state
  return state === undefined ? undefined : { repository, tags: [tag], to: state - 1, known: state }
}

async function post(name: 'delete' | 'undo', body: unknown): Promise<unknown> {
  const headers = { 'Content-Type': 'application/json' }
  return await (await request(`ui/api/${name}`, { method: 'POST', headers, body: JSON.stringify(body) })).json()
}
