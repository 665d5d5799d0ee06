/**
 * The message of UnixFS in a node. It is not left to `UnixFS.unmarshal`, which takes any number of sizes, and says nothing of the size that the
 * message has for the whole file.
 *
 * @see https://specs.ipfs.tech/unixfs/#data-field
 */

/** Type by its number; a file may be a `raw` block, too, and nobody writes the others */
const types = new Map<number, UnixfsData['type']>([
  [0, 'file'],
  [1, 'directory'],
  [2, 'file'],
  [4, 'symlink'],
  [5, 'shard'],
])

export interface UnixfsData {
  /** `shard`: a part of a directory that is too large for one block */
  type: 'file' | 'directory' | 'shard' | 'symlink'
  data: Uint8Array | undefined
  /** Bytes of the file, where the message says it */
  fileSize: number | undefined
  /** Bytes below each link */
  blockSizes: number[]
  /** Most links of a shard */
  fanout: number | undefined
}

interface Field {
  number: number
  value: number | Uint8Array
}

/** @throws RangeError where it is no such message, has a number that is not exact, or more than `maxSizes` sizes */
export function decodeUnixfs(bytes: Uint8Array, maxSizes: number): UnixfsData {
  let type: UnixfsData['type'] | undefined
  const decoded: Omit<UnixfsData, 'type'> = { data: undefined, fileSize: undefined, blockSizes: [], fanout: undefined }
  for (const { number, value } of fields(bytes)) {
    switch (number) {
      case 1:
        type = types.get(numeric(value))
        break
      case 2:
        if (typeof value === 'number') {
          throw new RangeError('is no node of UnixFS: its data is a number')
        }
        decoded.data = value
        break
      case 3:
        decoded.fileSize = numeric(value)
        break
      case 4:
        decoded.blockSizes.push(numeric(value))
        if (decoded.blockSizes.length > maxSizes) {
          throw new RangeError(`has more than ${maxSizes} sizes`)
        }
        break
      case 6:
        decoded.fanout = numeric(value)
    }
  }
  if (type === undefined) {
    throw new RangeError('is no node of UnixFS, or one of another type than files and directories')
  }
  return { type, ...decoded }
}

function numeric(value: number | Uint8Array): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw new RangeError('is no node of UnixFS, or one of more bytes than a number can say')
  }
  return value
}

/** @see https://protobuf.dev/programming-guides/encoding/ */
function* fields(bytes: Uint8Array): Generator<Field> {
  let offset = 0
  const number = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[offset++]
      if (byte === undefined || shift > 63) {
        throw new RangeError('is no node of UnixFS: it is cut short')
      }
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) {
        return value
      }
    }
  }
  const take = (length: number): Uint8Array => {
    if (offset + length > bytes.byteLength) {
      throw new RangeError('is no node of UnixFS: it is cut short')
    }
    offset += length
    return bytes.subarray(offset - length, offset)
  }
  while (offset < bytes.byteLength) {
    const tag = number()
    switch (tag % 8) {
      case 0:
        yield { number: Math.floor(tag / 8), value: number() }
        break
      case 1:
        take(8)
        break
      case 2:
        yield { number: Math.floor(tag / 8), value: take(number()) }
        break
      case 5:
        take(4)
        break
      default:
        throw new RangeError('is no node of UnixFS')
    }
  }
}
