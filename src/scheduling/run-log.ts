import type { Logger } from '../log.ts'

/** Work that is done again and again, such as garbage collection: one run of it */
export interface Run<Result> {
  /** When it began; ISO 8601 */
  started: string
  seconds: number
  /** Absent where it failed */
  result?: Result | undefined
  /** Why it failed; for operators */
  error?: string | undefined
}

/** A run that goes on */
export interface CurrentRun<Progress> {
  /** ISO 8601 */
  started: string
  progress?: Progress | undefined
}

/** Disposing of it ends it; without a result or failure, it is not remembered */
export interface BegunRun<Progress, Result> extends Disposable {
  progress: (progress: Progress) => void
  done: (result: Result) => void
  failed: (err: unknown) => void
}

export interface RunLogComponents {
  /** Where the runs are kept as text; `read` returns undefined where there is none */
  store: { read: () => Promise<string | undefined>; write: (text: string) => Promise<void> }
  log: Logger
}

export interface RunLogInit {
  /** What an operator is told of an error */
  reasonOf: (err: unknown) => string
  /** Runs that are remembered */
  max: number
}

/** Remembers the last runs of some work, also after a restart, and the one that goes on */
export class RunLog<Progress, Result> {
  readonly #components: RunLogComponents
  readonly #init: RunLogInit
  readonly #running = new Set<CurrentRun<Progress>>()
  #runs: Run<Result>[] = []
  #saving: Promise<void> = Promise.resolve()

  constructor(components: RunLogComponents, init: RunLogInit) {
    this.#components = components
    this.#init = init
  }

  /** The newest first */
  get runs(): readonly Run<Result>[] {
    return this.#runs
  }

  /** The one that began last */
  get current(): CurrentRun<Progress> | undefined {
    return [...this.#running].at(-1)
  }

  async start(): Promise<void> {
    try {
      const text = await this.#components.store.read()
      this.#runs = text === undefined ? [] : (JSON.parse(text) as Run<Result>[])
    } catch (err) {
      this.#components.log.warn('earlier runs are forgotten: they could not be read', { err })
    }
  }

  async stop(): Promise<void> {
    await this.#saving
  }

  begin(): BegunRun<Progress, Result> {
    const current: CurrentRun<Progress> = { started: new Date().toISOString() }
    const began = performance.now()
    this.#running.add(current)
    const end = (how: Pick<Run<Result>, 'error' | 'result'>): void => {
      const seconds = Math.round(performance.now() - began) / 1000
      this.#add({ started: current.started, seconds, ...how })
    }
    return {
      progress: progress => {
        current.progress = progress
      },
      done: result => {
        end({ result })
      },
      failed: err => {
        end({ error: this.#init.reasonOf(err) })
      },
      [Symbol.dispose]: () => {
        this.#running.delete(current)
      },
    }
  }

  #add(run: Run<Result>): void {
    this.#runs = [run, ...this.#runs].slice(0, this.#init.max)
    this.#saving = this.#saving.then(async () => {
      try {
        await this.#components.store.write(JSON.stringify(this.#runs))
      } catch (err) {
        this.#components.log.warn('a run will be forgotten after a restart: it could not be written', { err })
      }
    })
  }
}
