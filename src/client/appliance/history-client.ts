import type { AbortOptions } from '../../remote/abort-options.ts'
import type { Change, Differences } from '../../upkeep/history/history-log.ts'
import type { PastTag, PastTagList } from '../../upkeep/history/past-tags.ts'
import type { Undone } from '../../upkeep/history/undo.ts'
import type { Connection } from './appliance-client.ts'
import { askJson, jsonBody } from './ask-json.ts'
export type { Change, Differences } from '../../upkeep/history/history-log.ts'
export type { Undone } from '../../upkeep/history/undo.ts'

/** The number of a state, or a time (RFC 3339) at which it was in force */
type State = number | string

/** What an appliance remembers of changes, and undo */
export class HistoryClient {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /**
   * The changes that can be undone, the newest first
   *
   * @param init.name a repository, or a repository and a tag; undefined: all
   * @throws ResponseError
   */
  async list(
    init: { name?: string | undefined; limit: number },
    options: AbortOptions = {},
  ): Promise<{ changes: Change[]; more: boolean }> {
    return (await askJson(this.#connection, `history?${queryOf(init)}`, 'history', options)) as {
      changes: Change[]
      more: boolean
    }
  }

  /**
   * Has the history of a repository forgotten, and returns how many changes that were
   *
   * @throws ResponseError
   */
  async forget(name: string, options: AbortOptions = {}): Promise<number> {
    const request = { ...options, ...jsonBody({ name }) }
    return ((await askJson(this.#connection, 'history/forget', `history of ${name}`, request)) as { forgotten: number })
      .forgotten
  }

  /**
   * All tags that a repository had in a state
   *
   * @param name a repository, or a repository and a tag
   * @throws ResponseError
   */
  async tagsAt(name: string, at: State, options: AbortOptions = {}): Promise<Omit<PastTagList, 'more'>> {
    const tags: PastTag[] = []
    let [state, last]: [State, string | undefined] = [at, undefined]
    for (;;) {
      const query = queryOf({ name, at: state, last })
      const page = (await askJson(
        this.#connection,
        `history/tags?${query}`,
        `history of ${name}`,
        options,
      )) as PastTagList
      page.tags.forEach(tag => tags.push(tag))
      if (!page.more || page.tags.length === 0) {
        return { repository: page.repository, state: page.state, tags }
      }
      // a time may lead to another state meanwhile
      state = page.state
      last = page.tags.at(-1)!.tag
    }
  }

  /** @throws ResponseError */
  async diff(
    init: { from: State; to?: State | undefined; name?: string | undefined },
    options: AbortOptions = {},
  ): Promise<Differences> {
    return (await askJson(this.#connection, `diff?${queryOf(init)}`, 'diff', options)) as Differences
  }

  /**
   * Makes a repository or a tag as it was in a state; undefined: before its last change
   *
   * @throws ResponseError
   */
  async undo(name: string, to: State | undefined, options: AbortOptions = {}): Promise<Undone> {
    return (await askJson(this.#connection, 'undo', `undo of ${name}`, {
      ...options,
      ...jsonBody({ name, to }),
    })) as Undone
  }
}

function queryOf(values: Record<string, string | number | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined)
  return new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)])).toString()
}
