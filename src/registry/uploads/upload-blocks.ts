import type { ContentWriter } from '../../ipfs/content-store.ts'
import type { Index } from '../../index/index.ts'

/** An upload that somebody writes to, or that is on its way to become a blob */
export interface OpenUpload {
  writer: ContentWriter
  /** Root of the whole file, once it is stored */
  root?: string | undefined
}

export interface UploadBlock {
  cid: string
  /** Whether there is more below it */
  isFile: boolean
}

/**
 * The blocks that uploads need: leaves, tails and finished files. What is known in memory is taken at the first step, all at once, so that only
 * what is stored later is not in it; what is in no writer's memory is in the index.
 */
export async function* uploadBlocks(
  open: readonly OpenUpload[],
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
