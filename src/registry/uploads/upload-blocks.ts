import type { ContentWriter } from '../../ipfs/content-store.ts'
import type { Index } from '../../index/index.ts'

export interface UploadBlock {
  cid: string
  /** Whether there are more blocks below it */
  isFile: boolean
}

/**
 * The blocks that uploads need: leaves, tails and finished files. What the writers in memory have is read first and all
 * at once, at the first step of the iteration, so that it lacks only what is stored later. The index has the rest.
 */
export async function* uploadBlocks(
  open: ReadonlyArray<{ writer: Pick<ContentWriter, 'blocks'>; root?: string | undefined }>,
  index: Pick<Index, 'uploads' | 'uploadLeaves'>,
): AsyncGenerator<UploadBlock> {
  const known = open.map(({ writer, root }) => ({ blocks: writer.blocks(), root }))
  for (const { blocks, root } of known) {
    yield* blocks.map(leaf)
    if (root !== undefined) {
      yield { cid: root, isFile: true }
    }
  }
  for await (const { id, record } of index.uploads()) {
    yield* (await index.uploadLeaves(id)).map(leaf)
    if (record.tail !== undefined) {
      yield leaf(record.tail)
    }
  }
}

function leaf(cid: string): UploadBlock {
  return { cid, isFile: false }
}
