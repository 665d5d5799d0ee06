import { createHash, createCipheriv, randomBytes } from 'node:crypto'
import { Agent, request, type IncomingMessage } from 'node:http'
import { once } from 'node:events'

export const MiB = 1024 * 1024

export interface TestBlob {
  bytes: Uint8Array
  digest: string
}

/** Incompressible bytes that no earlier blob shares */
export function randomBlob (size: number): TestBlob {
  const cipher = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16))
  const bytes = cipher.update(Buffer.alloc(size))
  return { bytes, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` }
}

/** The calls that a registry client makes for one blob, over one kept-alive connection */
export class BlobClient {
  readonly #base: URL
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })

  constructor (base: string) {
    this.#base = new URL(base)
  }

  /** As docker pushes: POST, one streamed PATCH, PUT */
  async push (repository: string, { bytes, digest }: TestBlob): Promise<void> {
    const opened = await this.#call('POST', `/v2/${repository}/blobs/uploads/`, 202)
    const patched = await this.#call('PATCH', String(opened.headers.location), 202, bytes)
    const location = new URL(String(patched.headers.location), this.#base)
    location.searchParams.set('digest', digest)
    await this.#call('PUT', location.href, 201)
  }

  /** @returns bytes received */
  async pull (repository: string, digest: string): Promise<number> {
    const response = await this.#send('GET', `/v2/${repository}/blobs/${digest}`, 200)
    let size = 0
    response.on('data', (chunk: Buffer) => { size += chunk.byteLength })
    await once(response, 'end')
    return size
  }

  close (): void {
    this.#agent.destroy()
  }

  async #call (method: string, path: string, status: number, body?: Uint8Array): Promise<IncomingMessage> {
    const response = await this.#send(method, path, status, body)
    response.resume()
    await once(response, 'end')
    return response
  }

  async #send (method: string, path: string, status: number, body?: Uint8Array): Promise<IncomingMessage> {
    const call = request(new URL(path, this.#base), {
      method,
      agent: this.#agent,
      headers: { 'Content-Length': body?.byteLength ?? 0, 'Content-Type': 'application/octet-stream' }
    })
    const answered = once(call, 'response')
    for (let sent = 0; body !== undefined && sent < body.byteLength; sent += MiB) {
      if (!call.write(body.subarray(sent, sent + MiB))) {
        await Promise.race([once(call, 'drain'), answered])
      }
    }
    call.end()
    const [response] = await answered as [IncomingMessage]
    if (response.statusCode !== status) {
      throw new Error(`${method} ${path}: ${response.statusCode} instead of ${status}`)
    }
    return response
  }
}
