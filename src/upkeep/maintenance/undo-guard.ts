import type { Caller } from '../../access/caller.ts'
import type { Index, TagRecord } from '../../index/index.ts'
import type { ImmutableTags } from '../../registry/policies/immutable-tags.ts'
import type { Quotas } from '../../registry/quotas/quotas.ts'
import type { Plan } from '../history/past-state.ts'
import type { UndoPermit } from '../history/undo.ts'

export interface UndoGuardComponents {
  index: Pick<Index, 'blob' | 'tag'>
  /** @default no tag is immutable */
  immutable?: Pick<ImmutableTags, 'requireMutable'> | undefined
  /** @default there are none */
  quotas?: Pick<Quotas, 'reserveBlob' | 'reserveManifest'> | undefined
}

/**
 * Has an undo stay within what the rules let a caller do by pushes and deletes, what immutable tags allow, and what
 * quotas leave
 *
 * @returns for {@link UndoInit.guard}; it throws OciError UNAUTHORIZED or DENIED
 */
export function undoGuard(
  { immutable, index, quotas }: UndoGuardComponents,
  caller: Pick<Caller, 'require'>,
): (repository: string, plan: Plan) => Promise<UndoPermit> {
  return async (repository, plan) => {
    for (const [tag, after] of plan.tags) {
      const before = await index.tag(repository, tag)
      for (const action of actionsFor(before, after)) {
        caller.require({ action, repository, tag })
      }
      if (before !== undefined) {
        immutable?.requireMutable(repository, tag)
      }
    }
    if (plan.restored.size + plan.blobs.size > 0) {
      // whoever may push by some tags only brings back what these lead to
      const tag = [...plan.tags].find(([, after]) => after !== undefined)?.[0]
      caller.require({ action: 'push', repository, tag })
    }
    if (plan.removed.length > 0) {
      caller.require({ action: 'delete', repository })
    }
    return await reserve({ index, quotas }, repository, plan)
  }
}

function actionsFor(before: TagRecord | undefined, after: TagRecord | undefined): ('push' | 'tag' | 'delete')[] {
  if (after === undefined) {
    return ['delete']
  }
  return before === undefined ? ['push'] : ['push', 'tag']
}

async function reserve(
  { index, quotas }: Pick<UndoGuardComponents, 'index' | 'quotas'>,
  repository: string,
  { blobs, restored, tags }: Plan,
): Promise<UndoPermit> {
  if (quotas === undefined) {
    return { used: () => {}, [Symbol.dispose]: () => {} }
  }
  using reserved = new DisposableStack()
  const reservations: { used: () => void }[] = []
  const hold = (reservation: UndoPermit): void => {
    reservations.push(reserved.use(reservation))
  }
  for (const [digest, { record }] of restored) {
    const own = [...tags].flatMap(([tag, after]) => (after?.digest === digest ? tag : []))
    hold(await quotas.reserveManifest(repository, { digest, size: record.size, tags: own }))
  }
  for (const digest of new Set([...blobs, ...[...restored.values()].flatMap(({ links }) => links)])) {
    const blob = await index.blob(digest)
    if (blob !== undefined) {
      hold(await quotas.reserveBlob(repository, digest, blob.size))
    }
  }
  const held = reserved.move()
  return {
    used: () => {
      for (const reservation of reservations) {
        reservation.used()
      }
    },
    [Symbol.dispose]: () => {
      held.dispose()
    },
  }
}
