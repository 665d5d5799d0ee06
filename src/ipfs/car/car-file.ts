import { open, type FileHandle } from 'node:fs/promises'
import { fill } from '../blockstore/read-file.ts'
import type { CarSource } from './car.ts'

/** The least that is read at a time; enough for a length and a CID */
const windowBytes = 512

/** The bytes of a CAR in a file; what the reader skips is not read from the disk */
export class CarFile implements CarSource, AsyncDisposable {
  readonly #handle: FileHandle
  #window: Uint8Array = new Uint8Array()
  /** The byte of the file at which the window begins */
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
    // a new buffer each time, as the caller still uses parts of the last one
    this.#window = await fill(Buffer.allocUnsafeSlow(length), this.#handle, this.pos)
    this.#start = this.pos
  }
}
