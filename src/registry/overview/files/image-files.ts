/**
 * `registry/overview/files` tells which files layers have, and which differ between two images. Layers are what
 * strangers pushed: they are read one after the other, in bounds of bytes, entries and time, and nothing of them is
 * kept.
 *
 * - `image-files.ts` (begin here): which layers are read, and for whom
 * - `unpacked-layer.ts`, `zstd-frames.ts`: a layer as an archive; `byte-reader.ts`, `tar-header.ts`, `tar-entries.ts`:
 *   what is in an archive
 * - `layer-tree.ts`: layers one on top of the other; `file-comparison.ts`: two of these
 */
import type { Descriptor } from '../../../oci/manifest/descriptor.ts'
import type { Digest } from '../../../oci/digest.ts'
import { OciError } from '../../../oci/errors.ts'
import { ClientLimit } from '../../client-limit.ts'
import type { Blob, StoredRepository } from '../../repository.ts'
import type { ImageContent } from '../content/image-details.ts'
import { limited, textOf, type Limited } from '../content/limited.ts'
import { compareFiles, type FileComparison, type ShownFile } from './file-comparison.ts'
import { contentsOf, readLayer, stacked, type LayerFiles } from './layer-tree.ts'
import { ListingBounds, ListingRefused, maxEntries, maxStoredBytes, type ListingRefusal } from './listing-bounds.ts'
import { tarEntries } from './tar-entries.ts'
import { unpackedLayer } from './unpacked-layer.ts'

/** Milliseconds that a listing may take */
const timeout = 20_000
/** Files of one layer that a page shows */
const maxShown = 1000

/** What is listed, or why nothing is */
export type Listed<T> = { refusal: ListingRefusal } | { files: T }

export interface LayerFile extends ShownFile {
  path: string
}

export interface LayerListing extends Limited<LayerFile> {
  /** What the layer takes away of those below it */
  removed: Limited<string>
}

export interface FileReader {
  /** Address of who asks */
  client?: string | undefined
  signal: AbortSignal
}

type Image = Pick<ImageContent, 'repository' | 'layers'>

export class ImageFiles {
  /** Of the layers that are read for a listing, as they are stored, and of what is in them */
  readonly bounds = { bytes: maxStoredBytes, entries: maxEntries }
  readonly #local: (name: string) => Pick<StoredRepository, 'blob'>
  readonly #limit = new ClientLimit({ what: 'listings of files', max: 2, maxPerClient: 1 })

  constructor({ local }: { local: (name: string) => Pick<StoredRepository, 'blob'> }) {
    this.#local = local
  }

  /**
   * Which files differ between two images
   *
   * @throws OciError TOOMANYREQUESTS, UNAVAILABLE where others list files, or blocks are missing or damaged
   */
  async compare(first: Image, second: Image, reader: FileReader): Promise<Listed<FileComparison>> {
    return await this.#list(reader, async signal => {
      const common = commonLength(first.layers, second.layers)
      const [ofFirst, ofSecond] = [first.layers.slice(common), second.layers.slice(common)]
      const read = await this.#layers([...placed(first, ofFirst), ...placed(second, ofSecond)], signal)
      const base = await this.#base(placed(first, first.layers.slice(0, common)), [...ofFirst, ...ofSecond], signal)
      const treeOf = async (layers: readonly Descriptor[]): ReturnType<typeof stacked> =>
        await stacked([...(base ?? []), ...layers.map(({ digest }) => read.get(digest)!)], signal)
      const isBaseRead = base !== undefined
      return await compareFiles(await treeOf(ofFirst), await treeOf(ofSecond), { isBaseRead, signal })
    })
  }

  /**
   * Which files a layer has
   *
   * @throws OciError as {@link compare}
   */
  async layer({ layers, repository }: Image, digest: Digest, reader: FileReader): Promise<Listed<LayerListing>> {
    return await this.#list(reader, async signal => {
      const wanted = layers.filter(layer => layer.digest === digest).slice(0, 1)
      const files = (await this.#layers(placed({ repository }, wanted), signal)).get(digest)
      if (files === undefined) {
        throw new ListingRefused('not here')
      }
      const removed = [...files.whiteouts, ...[...files.opaque].map(contentsOf)].sort()
      return {
        ...limited([...files.entries.values()], maxShown, ({ path, size, target, type }) => ({
          path: textOf(path) ?? '',
          type,
          size,
          target: textOf(target),
        })),
        removed: limited(removed, maxShown, path => textOf(path) ?? ''),
      }
    })
  }

  async #list<T>({ client, signal }: FileReader, list: (signal: AbortSignal) => Promise<T>): Promise<Listed<T>> {
    using _place = this.#limit.take(client)
    const deadline = AbortSignal.timeout(timeout)
    try {
      return { files: await list(AbortSignal.any([signal, deadline])) }
    } catch (err) {
      signal.throwIfAborted()
      if (deadline.aborted) {
        return { refusal: 'took too long' }
      }
      if (err instanceof ListingRefused) {
        return { refusal: err.refusal }
      }
      throw err
    }
  }

  /** The layers that both images begin with; undefined where these are more than can be listed */
  async #base(
    layers: readonly PlacedLayer[],
    others: readonly Descriptor[],
    signal: AbortSignal,
  ): Promise<LayerFiles[] | undefined> {
    if (sizeOf([...layers.map(({ layer }) => layer), ...others]) > maxStoredBytes) {
      return undefined
    }
    try {
      const read = await this.#layers(layers, signal)
      return layers.map(({ layer }) => read.get(layer.digest)!)
    } catch (err) {
      if (err instanceof ListingRefused) {
        return undefined
      }
      throw err
    }
  }

  /** Each layer once, by its digest */
  async #layers(layers: readonly PlacedLayer[], signal: AbortSignal): Promise<Map<Digest, LayerFiles>> {
    const bounds = new ListingBounds()
    const blobs = new Map<Digest, Blob>()
    for (const { layer, repository } of layers) {
      if (!blobs.has(layer.digest)) {
        const blob = await this.#blob(repository, layer.digest)
        bounds.takeStored(blob.size)
        blobs.set(layer.digest, blob)
      }
    }
    const read = new Map<Digest, LayerFiles>()
    for (const [digest, blob] of blobs) {
      const archive = unpackedLayer(blob.read({ signal }), bounds, signal)
      read.set(digest, await readLayer(tarEntries(archive), bounds))
    }
    return read
  }

  async #blob(repository: string, digest: Digest): Promise<Blob> {
    try {
      return await this.#local(repository).blob(digest)
    } catch (err) {
      throw err instanceof OciError && err.code === 'BLOB_UNKNOWN'
        ? new ListingRefused('not here', { cause: err })
        : err
    }
  }
}

interface PlacedLayer {
  repository: string
  layer: Descriptor
}

function placed({ repository }: Pick<Image, 'repository'>, layers: readonly Descriptor[]): PlacedLayer[] {
  return layers.map(layer => ({ repository, layer }))
}

/** Of each layer once */
function sizeOf(layers: readonly Descriptor[]): number {
  const sizes = new Map(layers.map(({ digest, size }) => [digest, size]))
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}

/** How many layers both begin with */
function commonLength(first: readonly Descriptor[], second: readonly Descriptor[]): number {
  const different = first.findIndex(({ digest }, i) => digest !== second[i]?.digest)
  return different < 0 ? first.length : different
}
