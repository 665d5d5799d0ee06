import type { RequestOptions } from '../repository.ts'

/** Resolves IPNS keys and domains */
export interface NameResolver {
  /** @throws UnavailableError or another error where the name can't be resolved */
  resolve: (name: string, options?: RequestOptions) => Promise<{ cid: string; path: string[] }>
}

/** A place that knows image roots by `<repository>/<tag>` */
export interface ResolverSource {
  /** @returns the text that is meant to be a CID; undefined where there is nothing of that name */
  read: (repository: string, tag: string, options: RequestOptions) => Promise<string | undefined>
  tags: (repository: string, options: RequestOptions) => Promise<string[]>
}
