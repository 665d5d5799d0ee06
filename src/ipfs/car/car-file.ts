import { open, type FileHandle } from 'node:fs/promises'
import type { CarSource } from './car.ts'

/** Read at a time, at least: a length and a CID take fewer */
const windowBytes = 512

/** The bytes of a CAR in a file; what is passed over is not read */
export class CarFile implements CarSource, AsyncDisposable {
  readonly #handle: FileHandle
  #window = Buffer.alloc(0)
  /** Where in the file the window begins */
  #start = 0
  pos = 0

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  static async open(path: string): Promise<CarFile> {
    return new CarFile(await open(path))
  }

  async upTo(length: number): Promise<Uint8Array> {
    const from = this.pos - this.#start
    if (from < 0 || from + length > this.#window.byteLength) {
      await this.#read(Math.max(length, windowBytes))
    }
    return this.#window.subarray(this.pos - this.#start, this.pos - this.#start + length)
  }

  async exactly(length: number, seek = false): Promise<Uint8Array> {
    const bytes = await this.upTo(length)
    if (bytes.byteLength < length) {
      throw new RangeError('unexpected end of the file')
    }
    this.pos += seek ? length : 0
    return bytes
  }

  seek(length: number): void {
    this.pos += length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }

  async #read(length: number): Promise<void> {
    // a new one each time: what was returned is in use
    const buffer = Buffer.allocUnsafeSlow(length)
    let filled = 0
    for (let bytesRead = -1; filled < length && bytesRead !== 0; filled += bytesRead) {
      bytesRead = (await this.#handle.read(buffer, filled, length - filled, this.pos + filled)).bytesRead
    }
    this.#window = buffer.subarray(0, filled)
    this.#start = this.pos
  }
}
