import type { Writable } from 'node:stream'

/** Characters after which lines do not wait for the end of the turn */
const maxCharacters = 64 * 1024

/**
 * Writes the lines of one turn of the event loop together at its end, as a call of the system for each line of a busy
 * server took as long as answering the request.
 *
 * What waits is written when the process exits, also after an exception that nobody caught. Only a process that is
 * killed or aborted loses the lines of the turn that it was in, so whatever is urgent does not wait.
 */
export class LineBatches {
  readonly #stream: Pick<Writable, 'write'>
  #waiting = ''

  /** @param stream one that writes before its `write` returns, as standard error does */
  constructor(stream: Pick<Writable, 'write'>) {
    this.#stream = stream
    process.on('exit', () => {
      this.flush()
    })
  }

  /** @param text whole lines */
  write(text: string, { urgent }: { urgent: boolean }): void {
    if (this.#waiting === '' && !urgent) {
      setImmediate(() => {
        this.flush()
      })
    }
    this.#waiting += text
    if (urgent || this.#waiting.length > maxCharacters) {
      this.flush()
    }
  }

  flush(): void {
    const text = this.#waiting
    if (text !== '') {
      this.#waiting = ''
      this.#stream.write(text)
    }
  }
}
