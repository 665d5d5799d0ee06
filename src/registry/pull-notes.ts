import type { Index } from '../index/index.ts'
import type { Logger } from '../log.ts'
import type { Digest } from '../oci/digest.ts'

const minute = 60_000
/** Notes that are written at once; with more, the next write begins early */
const maxNotes = 10_000
const notesAtOnce = 1000

export interface PullNotesComponents {
  index: Pick<Index, 'change' | 'manifest' | 'pulled' | 'pulls'>
  log: Logger
}

/**
 * When each manifest was last pulled. A pull is noted in memory alone, and the notes are written to the index every few
 * minutes and at the stop, so a killed server forgets the pulls of a few minutes.
 */
export class PullNotes {
  readonly #components: PullNotesComponents
  readonly #interval: number
  /** Milliseconds since the epoch, by `<repository>:<digest>` */
  #notes = new Map<string, number>()
  #since = Date.now()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  /** @param init.interval milliseconds between two writes; @default five minutes */
  constructor(components: PullNotesComponents, { interval = 5 * minute }: { interval?: number } = {}) {
    this.#components = components
    this.#interval = interval
  }

  /** Pulls from this time on are noted; milliseconds since the epoch */
  get since(): number {
    return this.#since
  }

  async start(): Promise<void> {
    const { index } = this.#components
    const known = await index.pulls()
    if (known === undefined) {
      await index
        .change()
        .putPulls({ since: new Date(this.#since).toISOString() })
        .commit({ durable: true })
    } else {
      this.#since = Date.parse(known.since)
    }
    this.#timer ??= setInterval(() => {
      void this.write()
    }, this.#interval).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.write()
  }

  /** To be called when a client asked for a manifest and got it, or was told that it is there */
  note(repository: string, digest: Digest): void {
    this.#notes.set(`${repository}:${digest}`, Date.now())
    if (this.#notes.size === maxNotes) {
      void this.write()
    }
  }

  /** When the manifests of a repository were last pulled, as far as they were; milliseconds since the epoch */
  async lastPulls(repository: string): Promise<Map<Digest, number>> {
    await this.write()
    const pulls = new Map<Digest, number>()
    for await (const { digest, record } of this.#components.index.pulled(repository)) {
      pulls.set(digest, Date.parse(record.last))
    }
    // those that could not be written
    const prefix = `${repository}:`
    for (const [name, time] of this.#notes) {
      if (name.startsWith(prefix)) {
        pulls.set(name.slice(prefix.length) as Digest, time)
      }
    }
    return pulls
  }

  /** Writes what was noted to the index. Never throws: the log says so, and the notes wait for the next write. */
  async write(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      const notes = this.#notes
      this.#notes = new Map()
      try {
        await this.#write([...notes])
      } catch (err) {
        this.#notes = new Map([...notes, ...this.#notes])
        this.#components.log.warn('pulls not noted', { notes: notes.size, err })
      }
    })
    await this.#writing
  }

  async #write(notes: ReadonlyArray<[string, number]>): Promise<void> {
    const { index } = this.#components
    for (let from = 0; from < notes.length; from += notesAtOnce) {
      const change = index.change()
      for (const [name, time] of notes.slice(from, from + notesAtOnce)) {
        const colon = name.indexOf(':')
        const [repository, digest] = [name.slice(0, colon), name.slice(colon + 1) as Digest]
        // not of what was deleted meanwhile, nor of what is in another node
        if ((await index.manifest(repository, digest)) !== undefined) {
          change.putPulled(repository, digest, { last: new Date(time).toISOString() })
        }
      }
      await change.commit({ durable: false })
    }
  }
}
