import type { Events, Listening } from '../events/events.ts'
import type { Logger } from '../log.ts'
import { OciError } from '../oci/errors.ts'
import type { EventKind } from '../registry/event-sink.ts'
import { SharedCalls } from '../scheduling/shared-calls.ts'

/** Kinds of events after which a list of images shows something else */
const kinds: ReadonlySet<EventKind> = new Set(['push', 'delete', 'tag'])
const defaultMax = 100

/** One page that somebody looks at */
export interface Viewer {
  /** Images of a repository have changed; undefined: any may have, as some events were missed */
  changed: (repository: string | undefined) => void
  /** The server stops */
  end: () => void
}

export interface LivePagesComponents {
  events: Pick<Events, 'listen'>
  log: Logger
}

/**
 * Tells the pages that somebody looks at what has changed. All of them share what the server does for them, and it does
 * nothing while nobody looks.
 */
export class LivePages {
  readonly #components: LivePagesComponents
  readonly #max: number
  readonly #viewers = new Set<Viewer>()
  readonly #reports = new SharedCalls<string>()
  #controller: AbortController | undefined

  /** @param init.max pages that are told at a time */
  constructor(components: LivePagesComponents, { max = defaultMax }: { max?: number } = {}) {
    this.#components = components
    this.#max = max
  }

  /**
   * Until the result is disposed of, the viewer is told
   *
   * @throws OciError TOOMANYREQUESTS
   */
  async open(viewer: Viewer): Promise<Disposable> {
    if (this.#viewers.size >= this.#max) {
      throw new OciError('TOOMANYREQUESTS', { detail: { reason: `${this.#max} pages are told of changes already` } })
    }
    this.#viewers.add(viewer)
    const close = (): void => {
      this.#viewers.delete(viewer)
      if (this.#viewers.size === 0) {
        this.#controller?.abort()
        this.#controller = undefined
      }
    }
    try {
      if (this.#controller === undefined) {
        this.#controller = new AbortController()
        void this.#tell(await this.#listen(this.#controller.signal), this.#controller.signal)
      }
    } catch (err) {
      close()
      throw err
    }
    return { [Symbol.dispose]: close }
  }

  /** What several pages want at the same time is gathered once; as JSON */
  async report(name: string, gather: () => Promise<unknown>): Promise<string> {
    return await this.#reports.run(name, async () => JSON.stringify(await gather()))
  }

  async #listen(signal: AbortSignal): Promise<Listening> {
    return await this.#components.events.listen({ live: true, signal })
  }

  async #tell(first: Listening, signal: AbortSignal): Promise<void> {
    let listening: Listening | undefined = first
    while (listening !== undefined) {
      try {
        using events = listening
        await this.#pass(events)
        break
      } catch (err) {
        // they came faster than they could be told
        this.#components.log.debug('pages missed events', { err })
        this.#viewers.forEach(viewer => {
          viewer.changed(undefined)
        })
      }
      listening = await this.#listen(signal).catch(() => undefined)
    }
    if (!signal.aborted) {
      this.#viewers.forEach(viewer => {
        viewer.end()
      })
    }
  }

  async #pass(events: Listening): Promise<void> {
    for await (const { kind, repository } of events) {
      if (kinds.has(kind) && repository !== undefined) {
        this.#viewers.forEach(viewer => {
          viewer.changed(repository)
        })
      }
    }
  }
}
