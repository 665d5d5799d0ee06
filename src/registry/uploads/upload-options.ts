import type { ByteRange } from '../../oci/range.ts'
import type { RequestOptions } from '../repository.ts'

export interface UploadOptions extends RequestOptions {
  /** Who began the upload, where callers are told apart: to others it does not exist */
  owner?: string | undefined
}

export interface AppendOptions extends UploadOptions {
  /** Where the client says that the bytes belong */
  range?: ByteRange | undefined
  /** Content-Length, where the client sends one */
  length?: number | undefined
}
