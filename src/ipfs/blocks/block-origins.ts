/** Where bytes were fetched from; those that were here are of no origin */
export type Origin = 'peer' | 'gateway'

/** By the memory in which a block lies, which is not used again for bytes of another origin */
const origins = new WeakMap<ArrayBufferLike, Origin>()

/**
 * Remembers where bytes came from, as long as they are in memory
 *
 * @returns the bytes, copied where others share their memory
 */
export function withOrigin(bytes: Uint8Array, origin: Origin | undefined): Uint8Array {
  if (origin === undefined) {
    return bytes
  }
  const isShared = bytes.buffer.byteLength === Buffer.poolSize
  const own = isShared ? Buffer.allocUnsafeSlow(bytes.byteLength) : bytes
  if (isShared) {
    own.set(bytes)
  }
  origins.set(own.buffer, origin)
  return own
}

/** @returns undefined for bytes that were not fetched for this read */
export function originOf(bytes: Uint8Array): Origin | undefined {
  return origins.get(bytes.buffer)
}
