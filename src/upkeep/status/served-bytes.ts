import type { Metrics } from '../../metrics.ts'

const minute = 60_000
/** Minutes that are remembered */
const kept = 60

/** Bytes that clients got, by where they came from: disk, peer, gateway or upstream */
export type Served = Partial<Record<string, number>>

export interface ServedReport {
  /** Since the start */
  total: Served
  /** The last 60 minutes, the newest last; the last one is not over yet */
  minutes: Served[]
}

/** Remembers what clients got in each of the last minutes; a request costs nothing for that */
export class ServedBytes {
  readonly #metrics: Pick<Metrics, 'servedBytes'>
  #timer: NodeJS.Timeout | undefined
  #minutes: Served[] = []
  #before: Served = {}

  constructor({ metrics }: { metrics: Pick<Metrics, 'servedBytes'> }) {
    this.#metrics = metrics
  }

  async start(): Promise<void> {
    this.#timer ??= setInterval(() => {
      void this.endMinute()
    }, minute).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Begins another minute */
  async endMinute(): Promise<void> {
    const total = await this.#total()
    this.#minutes = [...this.#minutes, since(this.#before, total)].slice(1 - kept)
    this.#before = total
  }

  async report(): Promise<ServedReport> {
    const total = await this.#total()
    return { total, minutes: [...this.#minutes, since(this.#before, total)] }
  }

  async #total(): Promise<Served> {
    const { values } = await this.#metrics.servedBytes.get()
    return Object.fromEntries(values.map(({ labels, value }) => [String(labels['source']), value]))
  }
}

function since(before: Served, now: Served): Served {
  return Object.fromEntries(
    Object.entries(now)
      .map(([source, bytes]) => [source, (bytes ?? 0) - (before[source] ?? 0)] as const)
      .filter(([, bytes]) => bytes > 0),
  )
}
