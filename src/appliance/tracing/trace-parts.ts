import type { Access } from '../../access/access.ts'
import type { LevelIndex } from '../../index/level-index.ts'
import type { BlockstoreContentStore } from '../../ipfs/content/blockstore-content-store.ts'
import type { Retrieval } from '../../ipfs/retrieval/retrieval.ts'
import type { Upstream } from '../../registry/upstream.ts'
import type { Tracing } from './tracing.ts'

export interface TracedParts {
  access: Access
  content: BlockstoreContentStore
  index: LevelIndex
  reader: Retrieval
  upstreams: ReadonlyMap<string, Upstream> | undefined
}

/** Replaces the methods of these parts that requests wait for; without traces they stay as they are */
export function traceParts(tracing: Tracing, { access, content, index, reader, upstreams }: TracedParts): void {
  tracing.traceCalls(access, 'auth', ['caller'])
  tracing.traceCalls(index, 'index', ['blob', 'link', 'manifest', 'tag', 'upload', 'tags', 'repositories', 'referrers'])
  tracing.onResult(index, 'change', change => {
    tracing.traceCalls(change as ReturnType<LevelIndex['change']>, 'index', ['commit'])
  })
  tracing.traceCalls(content, 'blocks', ['add', 'addDirectory', 'find', 'read', 'sync'])
  tracing.onResult(content, 'writer', writer => {
    tracing.traceCalls(writer as ReturnType<BlockstoreContentStore['writer']>, 'blocks', ['checkpoint', 'close'])
  })
  tracing.traceCalls(reader, 'fetch', ['canonical', 'find', 'list', 'read'])
  for (const upstream of upstreams?.values() ?? []) {
    tracing.traceCalls(upstream, 'fetch', ['blob', 'headManifest', 'manifest', 'referrers', 'tags'])
  }
}
