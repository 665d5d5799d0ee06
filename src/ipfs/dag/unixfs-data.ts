/**
 * Decodes the UnixFS message in a node. `UnixFS.unmarshal` can't be used: it accepts any number of sizes, and does not
 * return the size of the whole file that the message claims.
 *
 * @see https://specs.ipfs.tech/unixfs/#data-field
 */

/** The types by their numbers. Type 0 is a `raw` block, which is a file too; type 3, metadata, is not in use. */
const types = new Map<number, UnixfsData['type']>([
  [0, 'file'],
  [1, 'directory'],
  [2, 'file'],
  [4, 'symlink'],
  [5, 'shard'],
])

export interface UnixfsData {
  /** `shard` is a part of a directory that is too large for one block */
  type: 'file' | 'directory' | 'shard' | 'symlink'
  data: Uint8Array | undefined
  /** Bytes of the whole file, where the message claims a number */
  fileSize: number | undefined
  /** Bytes of the file below each link */
  blockSizes: number[]
  /** How many links a shard may have */
  fanout: number | undefined
}

interface Field {
  number: number
  value: number | Uint8Array
}

/** @throws RangeError where it is not such a message, has a number above 2^53, or more than `maxSizes` sizes */
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
          throw new RangeError('is not a UnixFS node: its data is a number')
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
    throw new RangeError('is not a UnixFS file, directory or symbolic link')
  }
  return { type, ...decoded }
}

function numeric(value: number | Uint8Array): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw new RangeError('is not a UnixFS node, or claims more than 2^53 bytes')
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
        throw new RangeError('is not a UnixFS node: it is cut short')
      }
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) {
        return value
      }
    }
  }
  const take = (length: number): Uint8Array => {
    if (offset + length > bytes.byteLength) {
      throw new RangeError('is not a UnixFS node: it is cut short')
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
        throw new RangeError('is not a UnixFS node')
    }
  }
}
