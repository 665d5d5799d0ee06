import type { Digest } from '../oci/digest.ts'
import type { BlobRecord, IndexSnapshot, ManifestRecord, TagRecord } from './index.ts'
import { decodeValue } from './json-value.ts'
import { keys, prefixes, within } from './keys.ts'
import type { Level } from './level-scan.ts'

/** The index as it was when the snapshot was taken, whatever has been written since */
export class LevelSnapshot implements IndexSnapshot {
  readonly #db: Level
  readonly #snapshot: ReturnType<Level['snapshot']>

  constructor(db: Level) {
    this.#db = db
    this.#snapshot = db.snapshot()
  }

  async *repositories(): AsyncGenerator<string> {
    for await (const [repository] of this.#scan(prefixes.repositories())) {
      yield repository
    }
  }

  async *manifests(repository: string): AsyncGenerator<{ digest: Digest; record: ManifestRecord }> {
    for await (const [digest, record] of this.#scan<ManifestRecord>(prefixes.manifests(repository))) {
      yield { digest: digest as Digest, record }
    }
  }

  async *tags(repository: string): AsyncGenerator<{ tag: string; record: TagRecord }> {
    for await (const [tag, record] of this.#scan<TagRecord>(prefixes.tags(repository))) {
      yield { tag, record }
    }
  }

  async *blobs(repository: string): AsyncGenerator<{ digest: Digest; record: BlobRecord }> {
    for await (const [digest] of this.#scan(prefixes.linksOf(repository))) {
      const value = await this.#db.get(keys.blob(digest as Digest), { snapshot: this.#snapshot })
      if (value !== undefined) {
        yield { digest: digest as Digest, record: decodeValue<BlobRecord>(value) }
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#snapshot.close()
  }

  async *#scan<T>(prefix: string): AsyncGenerator<[string, T]> {
    for await (const [key, value] of this.#db.iterator({ ...within(prefix), snapshot: this.#snapshot })) {
      yield [key.slice(prefix.length), decodeValue<T>(value)]
    }
  }
}
