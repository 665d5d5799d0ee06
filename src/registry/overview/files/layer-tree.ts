import { posix } from 'node:path'
import { TimeSlice } from '../../../scheduling/time-slice.ts'
import type { ListingBounds } from './listing-bounds.ts'
import type { TarEntry } from './tar-entries.ts'

const whiteoutPrefix = '.wh.'
const opaqueMarker = '.wh..wh..opq'

/** What one layer adds and takes away */
export interface LayerFiles {
  entries: ReadonlyMap<string, TarEntry>
  /** Paths of the layers below that are gone, with all that is in them */
  whiteouts: ReadonlySet<string>
  /** Directories of which nothing is left that is in the layers below */
  opaque: ReadonlySet<string>
}

/**
 * Of several entries with one path, the last counts
 *
 * @throws ListingRefused; what `entries` throws
 * @see https://github.com/opencontainers/image-spec/blob/main/layer.md#representing-changes
 */
export async function readLayer(entries: AsyncIterable<TarEntry>, bounds: ListingBounds): Promise<LayerFiles> {
  const found = new Map<string, TarEntry>()
  const whiteouts = new Set<string>()
  const opaque = new Set<string>()
  for await (const entry of entries) {
    bounds.takeEntry(entry.path)
    const { base, dir } = posix.parse(entry.path)
    if (base === opaqueMarker) {
      opaque.add(dir)
    } else if (base.startsWith(whiteoutPrefix)) {
      const hidden = base.slice(whiteoutPrefix.length)
      // names that begin with the prefix twice are notes of the file system that made the layer
      if (hidden !== '' && !hidden.startsWith(whiteoutPrefix)) {
        whiteouts.add(posix.join(dir, hidden))
      }
    } else {
      found.set(entry.path, entry)
    }
  }
  return { entries: found, whiteouts, opaque }
}

/** The files of several layers, one on top of the other */
export interface LayerTree {
  entries: ReadonlyMap<string, TarEntry>
  /** Paths that layers below these may have, and that are gone */
  gone: ReadonlySet<string>
}

/** @param layers the lowest first */
export async function stacked(layers: readonly LayerFiles[], signal: AbortSignal): Promise<LayerTree> {
  let entries = new Map<string, TarEntry>()
  let gone = new Set<string>()
  const slice = new TimeSlice()
  for (const layer of layers) {
    const left = new Map<string, TarEntry>()
    for (const [path, entry] of entries) {
      await slice.pause()
      signal.throwIfAborted()
      if (!isHidden(path, layer)) {
        left.set(path, entry)
      }
    }
    for (const [path, entry] of layer.entries) {
      left.set(path, entry)
    }
    const taken = [...layer.whiteouts, ...[...layer.opaque].map(contentsOf)].filter(path => !entries.has(path))
    gone = new Set([...gone, ...taken].filter(path => !layer.entries.has(path)))
    entries = left
  }
  return { entries, gone }
}

/** What stands for all that is in a directory */
export function contentsOf(directory: string): string {
  return posix.join(directory, '*')
}

/** Whether a layer hides a path of the layers below, which it does not have itself */
function isHidden(path: string, { entries, opaque, whiteouts }: LayerFiles): boolean {
  if (whiteouts.has(path)) {
    return true
  }
  for (let end = path.lastIndexOf('/'); end >= 0; end = path.lastIndexOf('/', end - 1)) {
    const above = path.slice(0, end)
    const entry = entries.get(above)
    if (whiteouts.has(above) || opaque.has(above) || (entry !== undefined && entry.type !== 'directory')) {
      return true
    }
  }
  return opaque.has('')
}
