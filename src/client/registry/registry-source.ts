import type { Reference } from '../../oci/reference.ts'
import { ClientError, ResponseError } from '../../remote/errors.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import type { ImageSource } from '../images/image-source.ts'
import type { RegistryClient } from '../../remote/registry/registry-client.ts'
import { digestOf } from '../images/verify-digest.ts'

/**
 * An image in a registry, byte for byte as it is there
 *
 * @throws ResponseError if there is none
 */
export async function openRegistrySource(
  client: RegistryClient,
  repository: string,
  reference: Reference,
  options: AbortOptions = {},
): Promise<ImageSource & { root: string | undefined }> {
  const { bytes, mediaType, root } = await client.manifest(repository, reference.digest ?? reference.tag, options)
  const digest = digestOf(bytes, reference.digest?.startsWith('sha512') === true ? 'sha512' : 'sha256')
  if (reference.digest !== undefined && reference.digest !== digest) {
    throw new ClientError(`${client.host} sent another manifest than ${reference.digest}`)
  }
  return {
    top: { bytes, mediaType, digest },
    root,
    manifest: async ({ digest }, options) => {
      try {
        return (await client.manifest(repository, digest, options)).bytes
      } catch (err) {
        if (err instanceof ResponseError && err.status === 404) {
          return undefined
        }
        throw err
      }
    },
    blob: ({ digest }, options) => client.blob(repository, digest, options),
    [Symbol.asyncDispose]: async () => {},
  }
}
