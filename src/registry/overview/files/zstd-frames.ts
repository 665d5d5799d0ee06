const frameMagic = 0xfd2fb528
/** With any last four bits */
const skippableMagic = 0x184d2a50
const rleBlock = 1

/** Reads so many bytes and goes on with them, or passes over so many; `frame` is behind one */
type Step = { read: number } | { skip: number } | 'frame'

/**
 * Cuts data behind each frame of zstd: a decompressor of Node takes no more of what it is given than to the end of a
 * frame, and layers that clients can read in parts (zstd:chunked) have one for each file. What is malformed is left to
 * the decompressor.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8878#section-3.1
 */
export async function* zstdFrames(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const steps = frames()
  let step = steps.next().value as Step
  let left = lengthOf(step)
  let field = Buffer.alloc(0)
  for await (const chunk of bytes) {
    let begin = 0
    let at = 0
    while (at < chunk.byteLength) {
      const taken = Math.min(left, chunk.byteLength - at)
      if (step !== 'frame' && 'read' in step) {
        field = Buffer.concat([field, chunk.subarray(at, at + taken)])
      }
      at += taken
      left -= taken
      while (left === 0) {
        step = steps.next(field).value as Step
        left = lengthOf(step)
        field = Buffer.alloc(0)
        if (step === 'frame') {
          yield chunk.subarray(begin, at)
          begin = at
        }
      }
    }
    yield chunk.subarray(begin)
  }
}

function lengthOf(step: Step): number {
  return step === 'frame' ? 0 : 'read' in step ? step.read : step.skip
}

function* frames(): Generator<Step, never, Buffer> {
  for (;;) {
    const magic = (yield { read: 4 }).readUInt32LE()
    if (magic === frameMagic) {
      yield* frame()
    } else if (magic >= skippableMagic && magic <= skippableMagic + 15) {
      yield { skip: (yield { read: 4 }).readUInt32LE() }
    } else {
      yield { skip: Infinity }
    }
    yield 'frame'
  }
}

function* frame(): Generator<Step, void, Buffer> {
  const descriptor = (yield { read: 1 })[0]!
  const isSingleSegment = (descriptor & 0b10_0000) !== 0
  const windowBytes = isSingleSegment ? 0 : 1
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 0b11]!
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!
  yield { skip: windowBytes + dictionaryBytes + sizeBytes }
  let isLast = false
  while (!isLast) {
    const header = (yield { read: 3 }).readUIntLE(0, 3)
    isLast = (header & 1) === 1
    yield { skip: ((header >> 1) & 0b11) === rleBlock ? 1 : header >> 3 }
  }
  yield { skip: (descriptor & 0b100) === 0 ? 0 : 4 }
}
