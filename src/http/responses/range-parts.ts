import type { ByteRange } from '../../oci/range.ts'

/** A range of a blob, and the header that is sent before it */
export interface RangePart {
  header: string
  range: ByteRange
}

/**
 * Ranges that are no farther apart are read together: they probably lie in the same block (1 MiB), which is then read
 * once
 */
const nearBytes = 1024 * 1024
/**
 * Up to this length a piece is sent in one write with its header, because many small writes cost as much as large ones
 */
const smallBytes = 64 * 1024

/**
 * The bytes of several ranges, in order, each after its header. Ranges close to each other are cut out of one read.
 *
 * @param read reads one range; a chunk may be overwritten once the next one is asked for
 */
export async function* readParts(
  read: (range: ByteRange) => AsyncIterable<Uint8Array>,
  parts: readonly RangePart[],
): AsyncGenerator<Uint8Array> {
  for (const group of groupsOf(parts)) {
    const start = group[0]!.range.start
    const end = group.at(-1)!.range.end
    yield* cut(read({ start, end }), start, group)
  }
}

function groupsOf(parts: readonly RangePart[]): RangePart[][] {
  const groups: RangePart[][] = []
  let last = Infinity
  for (const part of parts) {
    const { start, end } = part.range
    if (start > last && start - last <= nearBytes) {
      groups.at(-1)!.push(part)
    } else {
      groups.push([part])
    }
    last = end
  }
  return groups
}

async function* cut(
  chunks: AsyncIterable<Uint8Array>,
  start: number,
  group: readonly RangePart[],
): AsyncGenerator<Uint8Array> {
  let next = 0
  let position = start
  for await (const chunk of chunks) {
    const end = position + chunk.byteLength
    for (let part = group[next]; part !== undefined && part.range.start < end; part = group[next]) {
      const { header, range } = part
      const bytes = chunk.subarray(Math.max(range.start - position, 0), range.end + 1 - position)
      yield* range.start < position ? [bytes] : withHeader(header, bytes)
      if (range.end >= end) {
        break
      }
      next++
    }
    position = end
  }
}

function withHeader(header: string, bytes: Uint8Array): Uint8Array[] {
  return bytes.byteLength > smallBytes ? [Buffer.from(header), bytes] : [Buffer.concat([Buffer.from(header), bytes])]
}
