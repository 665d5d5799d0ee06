import { CID } from 'multiformats/cid'
import { raceSignal } from 'race-signal'
import type { BadBlock } from '../../ipfs/dag/dag-checker.ts'
import type { Repairer } from '../../ipfs/retrieval/repairer.ts'
import type { Logger } from '../../log.ts'
import { forEach } from '../../scheduling/for-each.ts'
import { blocksOf, isFine, type Finding } from './check-content.ts'
import type { Entry } from './index-entries.ts'

/** Blocks that are repaired at the same time. A block that no peer has takes as long as a pull waits for one. */
const concurrency = 32

export interface RepairFindingsComponents {
  repairer: Pick<Repairer, 'quarantine' | 'repair'>
  log: Logger
}

export interface RepairFindingsOptions {
  /** All bad blocks so far. Blocks that are found below a repaired node are added. */
  bad: Map<string, BadBlock>
  signal: AbortSignal
  /** Called with the number of blocks that are still bad */
  report: (left: number) => void
}

/**
 * Repairs what was found: first from the rest of the index, then block by block from peers and gateways. Entries that
 * are right afterwards are taken out of `found`.
 */
export async function repairFindings(
  { log, repairer }: RepairFindingsComponents,
  found: Map<Entry, Finding>,
  { bad, report, signal }: RepairFindingsOptions,
): Promise<void> {
  await quarantine(repairer, bad.keys(), signal)
  await rebuild(found, log, signal)
  const tried = new Set<string>()
  const untried = async (): Promise<BadBlock[]> => {
    await checkAgain(found)
    const left = blocksOf(found.values())
    for (const block of left) {
      if (!bad.has(block.cid)) {
        bad.set(block.cid, block)
      }
    }
    report(left.length)
    return left.filter(({ cid }) => !tried.has(cid))
  }
  for (let blocks = await untried(); blocks.length > 0; blocks = await untried()) {
    await forEach(blocks, concurrency, signal, async ({ cid }) => {
      tried.add(cid)
      await raceSignal(repairer.repair(CID.parse(cid)), signal)
    })
  }
}

/** Moves damaged blocks out of the way, so that nothing reads them and right ones can take their place */
export async function quarantine(
  repairer: Pick<Repairer, 'quarantine'>,
  cids: Iterable<string>,
  signal: AbortSignal,
): Promise<void> {
  await forEach([...cids], concurrency, signal, async cid => {
    await repairer.quarantine(CID.parse(cid))
  })
}

/**
 * Checks an entry. An entry that seems wrong is checked twice, as it may have been in the middle of a change, and is
 * right if it was deleted meanwhile.
 *
 * @returns undefined where it is right
 */
export async function checkEntry(entry: Entry): Promise<Finding | undefined> {
  if (isFine(await entry.check()) || !(await entry.isCurrent())) {
    return undefined
  }
  const finding = await entry.check()
  return isFine(finding) ? undefined : finding
}

async function rebuild(found: Map<Entry, Finding>, log: Logger, signal: AbortSignal): Promise<void> {
  for (const { name, rebuild } of found.keys()) {
    signal.throwIfAborted()
    try {
      await rebuild?.()
    } catch (err) {
      log.warn('could not be rebuilt from the index', { ...name, err })
    }
  }
}

async function checkAgain(found: Map<Entry, Finding>): Promise<void> {
  for (const entry of found.keys()) {
    const finding = await checkEntry(entry)
    if (finding === undefined) {
      found.delete(entry)
    } else {
      found.set(entry, finding)
    }
  }
}
