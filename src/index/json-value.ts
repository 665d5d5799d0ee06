/** The records of the index are stored as JSON */
export function encodeValue(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

export function decodeValue<T>(value: Uint8Array): T {
  return JSON.parse(new TextDecoder().decode(value)) as T
}
