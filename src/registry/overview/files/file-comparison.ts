import { TimeSlice } from '../../../scheduling/time-slice.ts'
import { limited, textOf, type Limited } from '../content/limited.ts'
import type { LayerTree } from './layer-tree.ts'
import type { FileType, TarEntry } from './tar-entries.ts'

/** Of a list that a page shows */
const maxShown = 1000

export interface ComparedFile {
  path: string
  /** From the first image to the second */
  change: 'added' | 'removed' | 'content' | 'attributes'
  /** Undefined where the first image has none */
  first: ShownFile | undefined
  /** Undefined where the second image has none */
  second: ShownFile | undefined
}

export interface ShownFile {
  type: FileType
  /** Bytes */
  size: number
  target: string | undefined
}

export interface FileComparison extends Limited<ComparedFile> {
  counts: { added: number; removed: number; changed: number }
  /**
   * Whether the layers that both images begin with were read, too. Where they were not, a file that replaces one of
   * those counts as added or removed, and directories are listed only where both have one.
   */
  isBaseRead: boolean
}

/** Sorted by paths */
export async function compareFiles(
  first: LayerTree,
  second: LayerTree,
  { isBaseRead, signal }: { isBaseRead: boolean; signal: AbortSignal },
): Promise<FileComparison> {
  const slice = new TimeSlice()
  const found: ComparedFile[] = []
  const paths = new Set([...first.entries.keys(), ...second.entries.keys()])
  if (!isBaseRead) {
    for (const path of [...first.gone, ...second.gone]) {
      paths.add(path)
    }
  }
  for (const path of [...paths].sort()) {
    await slice.pause()
    signal.throwIfAborted()
    const change = changeOf(path, first, second, isBaseRead)
    if (change !== undefined) {
      found.push({ path, change, first: shownOf(first, path), second: shownOf(second, path) })
    }
  }
  const count = (...changes: ComparedFile['change'][]): number =>
    found.filter(({ change }) => changes.includes(change)).length
  return {
    ...limited(found, maxShown, file => ({ ...file, path: textOf(file.path) ?? '' })),
    counts: { added: count('added'), removed: count('removed'), changed: count('content', 'attributes') },
    isBaseRead,
  }
}

function changeOf(
  path: string,
  first: LayerTree,
  second: LayerTree,
  isBaseRead: boolean,
): ComparedFile['change'] | undefined {
  const [here, other] = [first.entries.get(path), second.entries.get(path)]
  if (here !== undefined && other !== undefined) {
    return here.content !== other.content ? 'content' : here.attributes === other.attributes ? undefined : 'attributes'
  }
  const only = here ?? other
  if (only === undefined) {
    // gone from what both begin with
    return first.gone.has(path) === second.gone.has(path) ? undefined : second.gone.has(path) ? 'removed' : 'added'
  }
  return !isBaseRead && only.type === 'directory' ? undefined : other === undefined ? 'removed' : 'added'
}

function shownOf({ entries }: LayerTree, path: string): ShownFile | undefined {
  const entry: TarEntry | undefined = entries.get(path)
  return entry && { type: entry.type, size: entry.size, target: textOf(entry.target) }
}
