import { raceSignal } from 'race-signal'

interface SharedCall<T> {
  result: Promise<T>
  controller: AbortController
  waiting: number
}

/** One call for a key at a time, however many want its result. It is aborted once nobody waits for it any more. */
export class SharedCalls<T> {
  readonly #calls = new Map<string, SharedCall<T>>()

  /** @throws the error of the call; the signal's reason to whoever stops waiting */
  async run(
    key: string,
    call: (signal: AbortSignal) => Promise<T>,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    signal?.throwIfAborted()
    const shared = this.#calls.get(key) ?? this.#begin(key, call)
    shared.waiting++
    try {
      return await raceSignal(shared.result, signal)
    } finally {
      shared.waiting--
      if (shared.waiting === 0) {
        this.#end(key, shared)
        shared.controller.abort()
      }
    }
  }

  #begin(key: string, call: (signal: AbortSignal) => Promise<T>): SharedCall<T> {
    const controller = new AbortController()
    const shared = { result: call(controller.signal), controller, waiting: 0 }
    this.#calls.set(key, shared)
    const end = (): void => {
      this.#end(key, shared)
    }
    shared.result.then(end, end)
    return shared
  }

  /** Another call may have begun since */
  #end(key: string, shared: SharedCall<T>): void {
    if (this.#calls.get(key) === shared) {
      this.#calls.delete(key)
    }
  }
}
