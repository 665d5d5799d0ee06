import type { ContentStore } from '../ipfs/content-store.ts'
import type { Index } from '../index/index.ts'
import type { Page } from '../oci/pagination.ts'
import { KeyedLock } from './keyed-lock.ts'
import { take } from './listing.ts'
import { LocalRepository } from './local-repository.ts'
import type { Listing, Repository } from './repository.ts'
import type { Uploads } from './uploads.ts'

export interface RegistryComponents {
  content: ContentStore
  index: Index
  uploads: Uploads
}

export interface RegistryInit {
  /**
   * What happens to a manifest that refers to blobs which are not there
   *
   * @default 'refuse'
   */
  missingBlobs?: 'refuse' | 'accept'
}

/** Finds the repository that a name stands for, once per request */
export class Registry {
  readonly uploads: Uploads
  readonly #components: RegistryComponents
  readonly #acceptMissingBlobs: boolean
  readonly #lock = new KeyedLock()

  constructor (components: RegistryComponents, init: RegistryInit = {}) {
    this.uploads = components.uploads
    this.#components = components
    this.#acceptMissingBlobs = init.missingBlobs === 'accept'
  }

  /** @param name a valid repository name; the repository need not exist yet */
  repository (name: string): Repository {
    return new LocalRepository({ ...this.#components, lock: this.#lock }, { name, acceptMissingBlobs: this.#acceptMissingBlobs })
  }

  /** Names of the repositories that hold a manifest */
  async repositories (page: Page): Promise<Listing<string>> {
    return await take(page, page => this.#components.index.repositories(page))
  }
}
