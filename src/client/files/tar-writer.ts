import type { Writable } from 'node:stream'

const blockSize = 512
const maxName = 100
/** Largest size that the octal digits of a header can hold */
const maxOctal = 8 ** 11 - 1

/**
 * Writes a tar archive, one file after the other. Its bytes depend on names and contents alone: no times, no owners.
 */
export class TarWriter {
  readonly #out: Writable
  /** Fails the write that is under way: a stream that is destroyed may never call back */
  #reject: (err: Error) => void = () => {}

  constructor(out: Writable) {
    this.#out = out
    out.on('error', err => {
      this.#reject(err)
    })
    out.on('close', () => {
      this.#reject(out.errored ?? new Error('the archive was closed'))
    })
  }

  /**
   * Adds a file
   *
   * @param size of the content, in bytes
   * @throws RangeError if the content has another size
   */
  async file(name: string, size: number, content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    if (Buffer.byteLength(name) > maxName) {
      const record = paxRecord('path', name)
      await this.#write(header('pax', record.length, 'x'))
      await this.#write(padded(record))
    }
    await this.#write(header(name.slice(0, maxName), size, '0'))
    let written = 0
    for await (const chunk of content) {
      written += chunk.byteLength
      // a copy: the stream queues the chunk, and the source may overwrite it once the next one is asked for
      await this.#write(Buffer.from(chunk))
    }
    if (written !== size) {
      throw new RangeError(`${name} has ${written} bytes instead of ${size}`)
    }
    await this.#write(Buffer.alloc(-size & (blockSize - 1)))
  }

  async end(): Promise<void> {
    await this.#write(Buffer.alloc(2 * blockSize))
    await this.#settled(done => {
      this.#out.end(done)
    })
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (bytes.byteLength > 0) {
      await this.#settled(done => {
        this.#out.write(bytes, done)
      })
    }
  }

  async #settled(start: (done: (err?: Error | null) => void) => void): Promise<void> {
    if (this.#out.destroyed) {
      throw this.#out.errored ?? new Error('the archive was closed')
    }
    const { promise, reject, resolve } = Promise.withResolvers<void>()
    this.#reject = reject
    start(err => {
      err === undefined || err === null ? resolve() : reject(err)
    })
    await promise
  }
}

/** @see https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_06 */
function header(name: string, size: number, type: string): Buffer {
  const block = Buffer.alloc(blockSize)
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0')
  const fields: [number, string][] = [
    [0, name],
    [100, octal(0o644, 7)],
    [108, octal(0, 7)],
    [116, octal(0, 7)],
    [136, octal(0, 11)],
    [148, ' '.repeat(8)],
    [156, type],
    [257, 'ustar\0'],
    [263, '00'],
  ]
  fields.forEach(([offset, text]) => block.write(text, offset))
  if (size <= maxOctal) {
    block.write(octal(size, 11), 124)
  } else {
    // larger sizes are binary, which GNU tar introduced and every program reads
    block.writeUInt8(0x80, 124)
    block.writeBigUInt64BE(BigInt(size), 128)
  }
  block.write(
    `${octal(
      block.reduce((total, byte) => total + byte, 0),
      6,
    )}\0 `,
    148,
  )
  return block
}

function paxRecord(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`
  // the length of a record counts its own digits too
  const length = [1, 2, 3, 4]
    .map(digits => digits + Buffer.byteLength(rest))
    .find((total, i) => String(total).length === i + 1)
  return Buffer.from(`${length}${rest}`)
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & (blockSize - 1))])
}
