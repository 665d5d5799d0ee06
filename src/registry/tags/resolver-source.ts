import type { RequestOptions } from '../repository.ts'

/** Finds out what a name points to */
export interface NameResolver {
  /** @throws UnavailableError and others where that can't be told */
  resolve: (name: string, options?: RequestOptions) => Promise<{ cid: string; path: string[] }>
}

/** A place that knows image roots by `<repository>/<tag>` */
export interface ResolverSource {
  /** What is written there, to be read as a CID; undefined where there is nothing of that name */
  read: (repository: string, tag: string, options: RequestOptions) => Promise<string | undefined>
  tags: (repository: string, options: RequestOptions) => Promise<string[]>
}
