import type { Puller } from '../../access/rules/puller.ts'
import type { Index } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import { everything } from '../../oci/pagination.ts'
import { Pace } from '../../scheduling/pace.ts'
import type { RootProvider } from '../root-provider.ts'

export interface PublicRootsComponents {
  index: Pick<Index, 'blob' | 'manifests' | 'repositories'>
  /** What every peer may pull */
  audience: () => Puller
  provider: RootProvider
  log: Logger
}

/** Provides the images of repositories that become public when the access rules change, and their blobs */
export class PublicRoots {
  readonly #components: PublicRootsComponents
  #controller = new AbortController()
  #running: Promise<void> = Promise.resolve()
  /** By the rules that were provided for last */
  #audience: Puller | undefined

  constructor(components: PublicRootsComponents) {
    this.#components = components
  }

  async start(): Promise<void> {
    this.#audience = this.#components.audience()
  }

  async stop(): Promise<void> {
    this.#controller.abort(new Error('the server stops'))
    await this.#running
  }

  /** Returns at once; cuts the work for earlier rules short */
  rulesChanged(): void {
    this.#controller.abort(new Error('the rules have changed again'))
    this.#controller = new AbortController()
    const { signal } = this.#controller
    const [running, before] = [this.#running, this.#audience]
    this.#running = (async () => {
      await running
      await this.#provide(before, signal).catch((err: unknown) => {
        if (!signal.aborted) {
          this.#components.log.error('images that became public were not provided', { err })
        }
      })
    })()
  }

  async #provide(before: Puller | undefined, signal: AbortSignal): Promise<void> {
    const { audience, index, provider } = this.#components
    const now = audience()
    const pace = new Pace()
    for await (const repository of index.repositories(everything)) {
      if (now.mayPull(repository) && before?.mayPull(repository) !== true) {
        for await (const { record } of index.manifests(repository)) {
          provider.provide(record.root)
          for (const digest of record.blobs) {
            const blob = await index.blob(digest)
            provider.provideBlob({ digest, size: blob?.size ?? 0 })
          }
          await pace.rest({ signal })
        }
      }
      await pace.rest({ signal })
      signal.throwIfAborted()
    }
    this.#audience = now
  }
}
