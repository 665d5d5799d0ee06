import type { LevelDatastore } from 'datastore-level'
import type { Page } from '../oci/pagination.ts'
import { decodeValue } from './json-value.ts'
import { within } from './keys.ts'

export type Level = LevelDatastore['db']

/** Yields each key of a page without the prefix, where there is no value or none is wanted */
export async function* scanKeys(db: Level, prefix: string, { limit, last }: Page): AsyncGenerator<string> {
  for await (const key of db.keys({ ...within(prefix, last), limit })) {
    yield key.slice(prefix.length)
  }
}

/** Yields each key of a page without the prefix, and its value as it is stored */
export async function* scanJson(
  db: Level,
  prefix: string,
  { limit, last }: Page,
): AsyncGenerator<[string, Uint8Array]> {
  for await (const [key, value] of db.iterator({ ...within(prefix, last), limit })) {
    yield [key.slice(prefix.length), value]
  }
}

/** Yields each key of a page without the prefix, and its value */
export async function* scan<T>(db: Level, prefix: string, page: Page): AsyncGenerator<[string, T]> {
  for await (const [key, value] of scanJson(db, prefix, page)) {
    yield [key, decodeValue<T>(value)]
  }
}
