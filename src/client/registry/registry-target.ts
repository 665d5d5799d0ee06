import type { ImageTarget } from '../images/image-target.ts'
import type { RegistryClient } from '../../remote/registry/registry-client.ts'

export interface RegistryTargetInit {
  repository: string
  tag: string
  /** A repository of the same registry from which blobs can be mounted */
  from?: string | undefined
}

/** A repository of a registry */
export class RegistryTarget implements ImageTarget {
  readonly #client: RegistryClient
  readonly #init: RegistryTargetInit
  /** CID of the image root once the image has been pushed, if the registry is an IPDR appliance */
  root: string | undefined

  constructor(client: RegistryClient, init: RegistryTargetInit) {
    this.#client = client
    this.#init = init
  }

  readonly hasBlob: ImageTarget['hasBlob'] = async ({ digest }, options) =>
    await this.#client.hasBlob(this.#init.repository, digest, options)

  readonly putBlob: ImageTarget['putBlob'] = async (descriptor, bytes, options) => {
    await this.#client.pushBlob(this.#init.repository, descriptor, bytes, { ...options, from: this.#init.from })
  }

  readonly putManifest: ImageTarget['putManifest'] = async ({ bytes, digest, manifest, top }, options) => {
    const reference = top ? this.#init.tag : digest
    const { root } = await this.#client.pushManifest(
      this.#init.repository,
      reference,
      bytes,
      manifest.mediaType,
      options,
    )
    if (top) {
      this.root = root
    }
  }
}
